"""What a folder of images holds, with links, pipes and circles in it."""

import os

import pytest
from PIL import Image

from softjpeg.common.image_search import find_images, search_images
from softjpeg.common.image_warning import ImageWarning


def names(found, root):
    return [path.relative_to(root).as_posix() for path in found]


@pytest.fixture
def root(tmp_path):
    for name in ("a.png", "z/b.png", "z/deep/c.png"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    return tmp_path / "root"


def test_a_folder_goes_by_its_own_name_not_by_that_of_a_link(root):
    (root / "first").symlink_to("z")
    (root / "z" / "deep" / "up").symlink_to(root)
    found = search_images(root)
    assert names(found.paths, root) == ["a.png", "z/b.png", "z/deep/c.png"]
    (left_out,) = found.left_out.values()
    assert sorted(names(left_out, root)) == ["first", "z/deep/up"]


def test_circles_outside_are_entered_once(root, tmp_path):
    outside = tmp_path / "outside"
    (outside / "x").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(outside / "x" / "d.png")
    for name in ("one", "two"):
        (outside / name).symlink_to(".")
        (outside / "x" / name).symlink_to("..")
    (root / "more").symlink_to(outside)
    found = search_images(root, follow_links=True)
    assert names(found.paths, root)[1:] == ["more/x/d.png", "z/b.png", "z/deep/c.png"]
    assert sum(map(len, found.left_out.values())) == 4


def test_a_folder_that_is_left_out_under_any_name(root, tmp_path):
    (tmp_path / "link").symlink_to(root / "z" / "deep")
    found = search_images(root, besides=tmp_path / "link")
    assert names(found.paths, root) == ["a.png", "z/b.png"]
    # The folder itself cannot be.
    assert len(search_images(root, besides=root).paths) == 3


def test_an_empty_folder_says_what_it_holds(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.gif").touch()
    with pytest.raises(ValueError, match=r"holds no images \(.*\); left out, ") as caught:
        find_images(tmp_path)
    assert "left out, no regular file (1): " in str(caught.value)
    assert "left out, of a suffix that is not read (1): " in str(caught.value)


def test_warned_of_once_for_each_reason(root):
    for i in range(7):
        (root / f"{i}.gif").touch()
    with pytest.warns(ImageWarning) as caught:
        find_images(root)
    (warning,) = caught
    assert str(warning.message).endswith("4.gif and 2 more")
    assert "not read (7): " in str(warning.message)


def test_bytes_that_list_nothing(tmp_path):
    (tmp_path / "x").write_bytes(b"\0\xff\n")
    with pytest.raises(ValueError, match="x is neither an image nor a text file that lists some"):
        find_images(tmp_path / "x")


def test_links_that_leave_the_source_are_followed_only_when_asked(root):
    outside = root.parent / "outside"
    outside.mkdir()
    Image.new("RGB", (4, 4)).save(outside / "d.png")
    (root / "link").symlink_to(outside)
    inside = ["a.png", "z/b.png", "z/deep/c.png"]
    with pytest.warns(ImageWarning, match="link"):
        assert names(find_images(root), root) == inside
    assert names(find_images(root, follow_links=True), root) == ["a.png", "link/d.png", *inside[1:]]

import csv
import functools
import io
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import nn

from helpers.images import as_tensor, smooth_image
from helpers.networks import linear_reader
from softjpeg.adaptation.adapted_network import AdaptedNetwork
from softjpeg.adaptation.adapter import Adapter, weights_fingerprint
from softjpeg.adaptation.strength import StrengthCurve, luma_step
from softjpeg.codec.image import decode, encode
from softjpeg.common.image_files import ImageFiles
from softjpeg.common.image_planes import picture_of
from softjpeg.evaluation.bootstrap import estimate, point_intervals, resample_means
from softjpeg.evaluation.encoders import default_jpeg, each_recoded, preset_encoder
from softjpeg.evaluation.gain import gains
from softjpeg.evaluation.judging import judge
from softjpeg.evaluation.points import RatePoint
from softjpeg.evaluation.rate_accuracy import evaluate
from softjpeg.evaluation.results import load_json, save_csv, save_json
from softjpeg.jpeg.markers import scan_bytes
from softjpeg.presets.preset import Preset


def images(count=12, size=24, seed=0):
    random = np.random.default_rng(seed)
    return torch.stack([as_tensor(smooth_image(size, size, random)) for _ in range(count)])


def network(seed=0, classes=5):
    net = linear_reader(24, 3, classes, seed)
    net[-1].weight.data *= 60
    net[-1].bias.data -= net(images(32, seed=9).float() / 255).mean(0).detach()
    return net


def by_pillow(image, **options):
    buffer = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, **options)
    return buffer.getvalue()


def webp(image):
    return by_pillow(image, format="webp", quality=20)


def softmax(values):
    values = np.exp(values - values.max(-1, keepdims=True))
    return values / values.sum(-1, keepdims=True)


@torch.no_grad()
def test_points_by_hand():
    net, x = network(), images()
    labels = torch.arange(12) % 5

    def encoder(image):
        return by_pillow(image, format="jpeg", quality=8, subsampling=2)

    point = judge(net, x, {"mine": encoder}, labels, batch_size=5)[1]
    files = [encoder(image) for image in x]
    shown = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in files]
    answers = net(torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2).float() / 255)
    original = net(x.float() / 255)
    p, q = (softmax(a.double().numpy()) for a in (original, answers))
    kl = (p * np.log(p / q)).sum(-1)
    a, b = original.double().numpy(), answers.double().numpy()
    cosine = 1 - (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    same = original.argmax(-1).numpy() == answers.argmax(-1).numpy()
    right = answers.argmax(-1).numpy() == labels.numpy()
    assert 0 < same.mean() < 1
    assert point.bytes_per_file == pytest.approx(np.mean([len(data) for data in files]))
    assert point.bpp == pytest.approx(8 * point.bytes_per_file / 24**2)
    assert point.scan_bpp == pytest.approx(8 * np.mean([scan_bytes(d) for d in files]) / 24**2)
    assert (point.agreement, point.top1) == pytest.approx((same.mean(), right.mean()))
    assert point.kl == pytest.approx(kl.mean(), rel=1e-5)
    assert point.cosine == pytest.approx(cosine.mean(), rel=1e-5)
    assert (point.mode, point.subsampling) == ("other", "4:2:0")
    np.testing.assert_array_equal(point.images.bytes, [len(data) for data in files])
    np.testing.assert_array_equal(point.images.agree, same)
    np.testing.assert_array_equal(point.images.correct, right)
    np.testing.assert_allclose(point.images.kl, kl, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(point.images.cosine, cosine, rtol=1e-4, atol=1e-9)


def test_files_are_written_once_for_all_readers():
    calls = []

    def encoder(image):
        calls.append(1)
        return webp(image)

    x = images()
    nets = {"a": network(0), "b": network(1, classes=3)}
    points = judge(nets, x, {"webp": encoder}, batch_size=5)
    assert len(calls) == len(x)
    assert [(p.reader, p.name) for p in points] == [
        *(("a", "uncompressed"), ("a", "webp"), ("b", "uncompressed"), ("b", "webp"))
    ]
    for name, net in nets.items():
        alone = judge(net, x, {"webp": webp})[1]
        (together,) = (p for p in points if (p.reader, p.name) == (name, "webp"))
        assert together.kl == pytest.approx(alone.kl, rel=1e-4)
        assert math.isnan(together.scan_bpp)
        assert together.subsampling == ""


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0", "gray"])
def test_sampling_is_read_from_the_files(sampling):
    ((quality, encoder),) = default_jpeg([30], sampling).items()
    x = images(2)
    found = judge(network(), x, {"q": encoder})[1].subsampling
    assert (quality, found) == (30, sampling)
    with Image.open(io.BytesIO(encoder(x[0]))) as file:
        assert file.mode == ("L" if sampling == "gray" else "RGB")


def test_encoders_that_fail_are_named():
    x, net = images(3), network()

    def cut(image):
        return webp(image)[:20]

    def small(image):
        return webp(image[:, :8])

    def broken(image):
        raise RuntimeError("no luck")

    encoders = {"cut": cut, "small": small, "broken": broken, "webp": webp}
    with pytest.raises(ValueError, match="cut: Pillow cannot decode the file of image 0"):
        judge(net, x, encoders)
    with pytest.raises(ValueError, match="small: the file of image 0 shows 24x8 pixels"):
        judge(net, x, {"small": small})
    told = {}
    points = judge(net, x, encoders, failed=told.__setitem__)
    assert [p.name for p in points] == ["uncompressed", "webp"]
    assert list(told) == ["cut", "small", "broken"]
    assert str(told["broken"]) == "no luck"


def test_a_photo_that_vanishes_is_no_encoders_failure(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    for path, image in zip(paths, images(2), strict=True):
        picture_of(image).save(path)

    def removing(image):
        paths[1].unlink()
        return webp(image)

    told = {}
    with pytest.raises(ValueError, match=r"1\.png cannot be read as an image"):
        judge(network(), ImageFiles(paths, 1), {"a": removing}, failed=told.__setitem__)
    assert told == {}


def test_bad_outputs():
    with pytest.raises(ValueError, match="second: the network cannot read images of 24x24 pixels"):
        judge({"first": network(), "second": nn.Linear(5, 5)}, images(2), {})


# evaluate


def test_evaluate_is_judge_with_names():
    x, net = images(), network()
    preset = Preset.from_quality(20, "4:4:4")
    points = evaluate(
        net,
        x,
        {"mine": preset, "ladder": {"ladder q 5": Preset.from_quality(5)}},
        qualities=[10, 80],
        subsampling=["4:2:0", "gray"],
        encoders={"webp": {"webp q 20": webp}},
    )
    assert [(p.name, p.curve, p.mode, p.subsampling) for p in points] == [
        ("uncompressed", "", "none", "4:4:4"),
        ("mine", "learned", "hard", "4:4:4"),
        ("ladder q 5", "ladder", "hard", "4:2:0"),
        ("default 4:2:0 q 10", "default 4:2:0", "default", "4:2:0"),
        ("default 4:2:0 q 80", "default 4:2:0", "default", "4:2:0"),
        ("default gray q 10", "default gray", "default", "gray"),
        ("default gray q 80", "default gray", "default", "gray"),
        ("webp q 20", "webp", "other", ""),
    ]
    assert points[1].bytes_per_file == np.mean([len(encode(image, preset)) for image in x])
    with pytest.raises(ValueError, match="names of their own, got 'default q 10' twice"):
        evaluate(net, x, {"default q 10": preset}, qualities=[10])
    with pytest.raises(ValueError, match=r"subsampling must be one of .* got '4:1:1'"):
        evaluate(net, x, {}, subsampling="4:1:1")


def test_sampled_files_depend_on_seed_and_pixels_alone():
    x = images(4)
    preset = Preset(*(np.full((8, 8), 30),) * 2, hardness=5.0)
    first = [preset_encoder(preset, "probabilistic", 1)(image) for image in x]
    again = preset_encoder(preset, "probabilistic", 1)
    assert [again(image) for image in reversed(x)] == first[::-1]
    assert preset_encoder(preset, "probabilistic", 2)(x[0]) != first[0]


def test_recoded_is_lossless_and_smaller_on_both_sides():
    from softjpeg.codec.recode import recode

    x, net = images(), network()
    presets = {"mine": Preset.from_quality(20)}
    options = {"qualities": [10], "encoders": {"webp": {"webp q 20": webp}}}
    plain = evaluate(net, x, presets, **options)
    change = lambda encoders: each_recoded(encoders, recode)  # noqa: E731
    small = evaluate(net, x, presets, change=change, **options)
    for before, after in zip(plain[1:], small[1:], strict=True):
        assert after.kl == before.kl
        assert (after.bpp < before.bpp) == (before.curve != "webp")


# Confidence intervals


@functools.cache
def measured():
    x = images(40, seed=3)
    labels = torch.arange(40) % 5
    return evaluate(
        *(network(), x, {"a": Preset.from_quality(5, "4:4:4"), "b": Preset.from_quality(20)}),
        labels=labels,
        qualities=[5, 20, 60],
        encoders={"webp": {"webp q 20": webp}},
    )


def test_intervals_are_scipys():
    points = measured()
    means = resample_means(points, 4000, seed=1)
    for i, found in enumerate(point_intervals(points, means)[1:], 1):
        for field, name in (("kl", "kl"), ("agreement", "agree"), ("top1", "correct")):
            values = getattr(points[i].images, name)
            if values.std() == 0:
                assert found[field].low == found[field].high
                continue
            expected = stats.bootstrap(
                (values,), np.mean, n_resamples=4000, method="percentile", random_state=0
            ).confidence_interval
            spread = expected.high - expected.low
            assert found[field].low == pytest.approx(expected.low, abs=0.06 * spread)
            assert found[field].high == pytest.approx(expected.high, abs=0.06 * spread)
            assert found[field].value == pytest.approx(values.mean())
        assert found["bpp"].value == pytest.approx(points[i].bpp)
    assert math.isnan(point_intervals(points, means)[-1]["scan_bpp"].value)


def test_images_without_a_label_do_not_count(tmp_path):
    net, x = network(), images(40, seed=3)
    labels, known = torch.arange(40) % 5, torch.arange(40) % 3 > 0
    some = judge(net, x, {"webp": webp}, torch.where(known, labels, -1))
    of_them = judge(net, x[known], {"webp": webp}, labels[known])
    assert some[1].top1 == of_them[1].top1
    assert 0 < some[1].top1 < 1
    save_json(some, tmp_path / "p.json", {})
    for points in (some, load_json(tmp_path / "p.json")[0]):
        assert np.isnan(points[1].images.correct[~known.numpy()]).all()
        found = point_intervals(points, resample_means(points, 4000))[1]["top1"]
        expected = point_intervals(of_them, resample_means(of_them, 4000))[1]["top1"]
        assert found.low < found.value == expected.value < found.high
        spread = expected.high - expected.low
        assert found.high - found.low == pytest.approx(spread, rel=0.15)
    (none, _) = judge(net, x, {"webp": webp}, torch.full((40,), -1))
    assert none.top1 is None
    assert none.images.correct is None


def test_resamples_are_paired():
    points = measured()
    means = resample_means([points[1], points[1]], 50)
    assert means["kl"][1:].std() > 0
    np.testing.assert_array_equal(means["kl"][:, 0], means["kl"][:, 1])
    assert repr(gains(points, resamples=50)) == repr(gains(points, resamples=50))


def test_interval_covers_what_it_should():
    random = np.random.default_rng(0)
    inside = 0
    for trial in range(200):
        sample = random.normal(0, 1, 60)
        weights = np.random.default_rng(trial).multinomial(60, np.full(60, 1 / 60), 400) / 60
        found = estimate(np.concatenate([[sample.mean()], weights @ sample]))
        inside += found.low <= 0 <= found.high
    assert 0.88 <= inside / 200 <= 0.99


def test_resamples_refuse_points_of_other_images():
    net = network()
    some, more = (judge(net, images(n), {})[0] for n in (3, 4))
    with pytest.raises(ValueError, match=r"points must be of the same images, got \[3, 4\]"):
        resample_means([some, more])
    with pytest.raises(ValueError, match="resamples must be at least 0, got -1"):
        resample_means([some], -1)


# Files


def test_json_holds_all_that_plots_and_intervals_need(tmp_path):
    points = measured()
    found = gains(points)
    save_json(points, tmp_path / "p.json", {"seed": 3}, found)
    body = json.loads((tmp_path / "p.json").read_text())
    again, provenance = load_json(tmp_path / "p.json")
    assert provenance == {"seed": 3}
    for before, after in zip(points, again, strict=True):
        assert repr(after) == repr(before)
        for name, values in vars(before.images).items():
            np.testing.assert_array_equal(getattr(after.images, name), values)
    assert repr(gains(again)) == repr(found)
    assert len(body["gains"]) == len(found)
    low, high = body["points"][1]["interval"]["kl"]
    assert low < points[1].kl < high
    assert set(body["points"][1]["images"]["agree"]) <= {"0", "1"}
    assert body["points"][-1]["scan_bpp"] is None


def test_csv_is_a_row_a_point(tmp_path):
    points = measured()
    save_csv(points, tmp_path / "p.csv")
    rows = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == [p.name for p in points]
    assert float(rows[1]["kl"]) == points[1].kl
    assert float(rows[1]["kl_low"]) < points[1].kl < float(rows[1]["kl_high"])
    assert rows[-1]["scan_bpp"] == ""


def test_files_that_hold_no_points(tmp_path):
    save_json(measured(), tmp_path / "p.json", {})
    whole = json.loads((tmp_path / "p.json").read_text())
    point = whole["points"][0]
    bodies = [
        *("", "x", "[]", "5", "null", "{}", "\xff", "[" * 100_000, '{"points": ' + "[" * 100_000),
        '{"points": [{}], "provenance": {}}',
        *(
            json.dumps({k: v for k, v in whole.items() if k != key})
            for key in whole
            if key[0] == "p"
        ),
        *(json.dumps({**whole, "points": value}) for value in (5, None, [5], [None], "x")),
        json.dumps({**whole, "provenance": 5}),
        json.dumps({**whole, "points": [{k: v for k, v in point.items() if k != "kl"}]}),
        *(
            json.dumps({**whole, "points": [{**point, "images": v}]})
            for v in (5, "x", {"more": []})
        ),
        json.dumps({**whole, "points": [{**point, "images": {**point["images"], "kl": "many"}}]}),
    ]
    for body in bodies:
        (tmp_path / "x.json").write_text(body, "latin-1")
        with pytest.raises(ValueError, match=r"x\.json does not hold measured points") as refused:
            load_json(tmp_path / "x.json")
        assert "\n" not in str(refused.value)
    for name in ("absent.json", "."):
        with pytest.raises(ValueError, match="cannot be read: "):
            load_json(tmp_path / name)


def test_points_without_images_have_no_intervals(tmp_path):
    point = RatePoint("a", "hard", "4:2:0", 100, 1.0, 0.9, None, 0.5, 0.4)
    save_json([point], tmp_path / "p.json", {})
    assert repr(load_json(tmp_path / "p.json")[0]) == repr([point])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda y: y[:, :1], r"evaluate tells nothing of outputs \(\d+, 1\)"),
        (lambda y: y[:, 0], r"evaluate tells nothing of outputs \(\d+,\)"),
        (lambda y: y.softmax(1), "evaluate wants scores before the softmax"),
    ],
)
def test_outputs_that_every_file_would_keep_are_refused(change, sentence):
    """They would agree to 100 % whatever the files are."""
    reader = linear_reader(16, 4, 6)
    model = nn.Module()
    model.forward = lambda x: change(reader(x))
    with pytest.raises(ValueError, match=sentence):
        judge(model, images(4, 16), default_jpeg([10], "4:2:0"))


def test_answers_at_every_position_are_compared_there():
    torch.manual_seed(0)
    head = nn.Conv2d(3, 5, 4, stride=4)
    pixels = images(4, 16)
    _, point = judge(head, pixels, default_jpeg([5], "4:2:0"))
    shown = torch.stack(
        [decode(encode(x, Preset.from_quality(5, "4:2:0"))).float() / 255 for x in pixels]
    )
    answers, originals = (head(x).argmax(1) for x in (shown, pixels.float() / 255))
    assert point.agreement == pytest.approx((answers == originals).double().mean().item(), abs=1e-5)
    assert 0 < point.agreement < 1
    with pytest.raises(ValueError, match=r"labels are for outputs \(N, classes\), got \(4, 5, 4"):
        judge(head, pixels, default_jpeg([5], "4:2:0"), torch.zeros(4, dtype=torch.long))


def test_an_adapted_network_reads_each_file_as_its_tables_say():
    net, x = network().eval(), images(5)
    base = {name: weight.clone() for name, weight in net.state_dict().items()}
    adapted = {name: weight * 1.5 for name, weight in base.items()}
    curve = StrengthCurve(((8.0, 1.0),))
    adapter = Adapter("all", base, adapted, weights_fingerprint(net), curve)

    def by_brightness(image):
        """Files of one encoder, of two tables."""
        return by_pillow(image, format="jpeg", quality=10 if image[0, 0, 0] % 2 else 70)

    qualities = [10 if image[0, 0, 0] % 2 else 70 for image in x]
    assert {*qualities} == {10, 70}
    encoders = {"mixed": by_brightness, "webp": webp}
    readers = {"adapted": AdaptedNetwork(net, adapter), "frozen": net}
    points = {(p.reader, p.name): p for p in judge(readers, x, encoders, batch_size=2)}
    with torch.no_grad():
        originals = softmax(net(x / 255).double().numpy())
        for i, quality in enumerate(qualities):
            data = by_pillow(x[i], format="jpeg", quality=quality)
            shown = as_tensor(Image.open(io.BytesIO(data)))[None] / 255
            # All of it is linear: weights and bias 1 + t/2 times what they were.
            strength = luma_step(Preset.from_quality(quality).luma) / 8
            answer = softmax((1 + strength / 2) * net(shown).double().numpy())[0]
            expected = (originals[i] * np.log(originals[i] / answer)).sum()
            found = points["adapted", "mixed"].images.kl[i]
            assert found == pytest.approx(expected, rel=1e-3, abs=1e-6)
    # Of another format no tables are known.
    for name in ("uncompressed", "webp"):
        assert (
            points["adapted", name].images.kl.tolist() == points["frozen", name].images.kl.tolist()
        )

"""How far answers are apart, counted by hand, and outputs of which nothing can be told."""

import pytest
import torch

from softjpeg.models.fidelity import agree, check_scores, kl, missing, parse_fidelity, rank

SCORES = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


def test_many_positions_count_as_images_of_one_would():
    """(B, classes, H, W): the mean over positions of what each alone gives."""
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.randn(2, 5, 3, 4, generator=generator) for _ in range(2))
    for i in range(2):
        rows = [x[i].flatten(1).T for x in (a, b)]
        assert kl(a, b)[i].item() == pytest.approx(kl(*rows).mean().item())
        assert agree(a, b)[i].item() == pytest.approx(agree(*rows).double().mean().item())
    p, q = (x[0, :, 1, 2].double().softmax(0) for x in (b, a))
    alone = kl(a[:1, :, 1:2, 2:], b[:1, :, 1:2, 2:])[0]
    by_hand = [(p * (p / q).log()).sum(), kl(a[:1, :, 1, 3], b[:1, :, 1, 3])[0]]
    assert alone.item() == pytest.approx(sum(map(float, by_hand)) / 2)


@pytest.mark.parametrize("counted", [missing, rank])
@pytest.mark.parametrize("shape", [(6,), (6, 4, 2, 2)])
def test_places_are_those_of_one_answer_for_each_image(counted, shape):
    with pytest.raises(ValueError, match=r"outputs must be class scores \(B, classes\), got shape"):
        counted(torch.zeros(shape), torch.zeros(shape))


@pytest.mark.parametrize("outputs", [torch.randn(6), torch.randn(6, 1), torch.randn(6, 1, 8, 8)])
def test_one_number_is_no_score_of_classes(outputs):
    with pytest.raises(ValueError, match=r"KL tells nothing of outputs \(6.*: take --loss mse"):
        check_scores(outputs, "KL", "take --loss mse")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_probabilities_are_no_scores(dtype):
    probabilities = SCORES.to(dtype).softmax(1)
    with pytest.raises(ValueError, match=r"KL wants scores before the softmax, .* already"):
        check_scores(probabilities, "KL", "take --loss mse")
    check_scores(probabilities, "top1", "", order_only=True)
    dense = torch.randn(2, 4, 3, 3).softmax(1)
    with pytest.raises(ValueError, match="are probabilities already"):
        check_scores(dense, "KL", "")
    for good in (SCORES, SCORES.log_softmax(1), SCORES.sigmoid(), torch.zeros(2, 4)):
        check_scores(good, "KL", "")


@pytest.mark.parametrize(
    ("text", "outputs", "sentence"),
    [
        ("top1", SCORES[:, :1], r"keep top1 tells nothing of outputs \(6, 1\)"),
        ("top4", SCORES, "keep top4 tells nothing of 4 classes"),
        ("in-top5", SCORES, "keep in-top5 tells nothing of 4 classes"),
        ("top1", torch.zeros(6, 4, 2, 2), r"outputs must be class scores \(B, classes\)"),
        ("kl:0.1", SCORES.softmax(1), "keep kl:0.1 wants scores before the softmax"),
        ("kl:0.1", SCORES[:, 0], r"keep kl:0.1 tells nothing of outputs \(6,\)"),
        ("cosine:0.1", SCORES[:, :1], r"cosine tells nothing of outputs \(6, 1\), one number each"),
    ],
)
def test_criteria_that_all_files_would_meet(text, outputs, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_fidelity(text).check(outputs)


@pytest.mark.parametrize("text", ["top1", "top3", "in-top3", "kl:0.1", "cosine:0.1"])
def test_criteria_that_can_tell(text):
    parse_fidelity(text).check(SCORES)

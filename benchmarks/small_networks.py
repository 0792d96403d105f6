"""Networks small enough to train many of on a CPU."""

from torch import nn

from softjpeg.models import create_model


def resnet8_stride2(classes: int) -> nn.Module:
    """The CIFAR ResNet-8 for 64x64 images: its first convolution has stride 2."""
    network = create_model("cifar:resnet8", classes)
    network.conv1.stride = (2, 2)
    return network

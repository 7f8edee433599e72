"""The backbones as PyTorch modules, from the published definitions; needs PyTorch.

ResNet-18: He et al. 2016, with the names of torchvision; IResNet: Deng et al. 2019, with the names of InsightFace.
"""

import torch
from torch import nn

BLOCKS = {
    "resnet18": (2, 2, 2, 2),
    "iresnet18": (2, 2, 2, 2),
    "iresnet34": (3, 4, 6, 3),
    "iresnet50": (3, 4, 14, 3),
    "iresnet100": (3, 13, 30, 3),
}


class BasicBlock(nn.Module):
    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.downsample = None
        if stride != 1 or inputs != filters:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class IBasicBlock(nn.Module):
    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.prelu = nn.PReLU(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(filters)
        self.downsample = None
        if stride != 1 or inputs != filters:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(y)) + (x if self.downsample is None else self.downsample(x))


class Net(nn.Module):
    """`maps` are those of the last stage; `forward` gives identities (ResNet) or the embedding (IResNet)."""

    def __init__(self, name, filters=(64, 128, 256, 512), identities=100, side=112):
        super().__init__()
        self.improved = name.startswith("i")
        width, block = filters[0], IBasicBlock if self.improved else BasicBlock
        self.conv1 = nn.Conv2d(3, width, *((3, 1, 1) if self.improved else (7, 2, 3)), bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        if self.improved:
            self.prelu = nn.PReLU(width)
        for stage, (count, outputs) in enumerate(zip(BLOCKS[name], filters, strict=True), 1):
            first = 2 if self.improved or stage > 1 else 1
            blocks = [block(width if i == 0 else outputs, outputs, 1 if i else first) for i in range(count)]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            width = outputs
        if self.improved:
            self.bn2 = nn.BatchNorm2d(width)
            self.fc = nn.Linear(width * (side // 16) ** 2, width)
            self.features = nn.BatchNorm1d(width)
        else:
            self.fc = nn.Linear(width, identities)

    def maps(self, x):
        x = self.bn1(self.conv1(x))
        x = self.prelu(x) if self.improved else nn.functional.max_pool2d(torch.relu(x), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def forward(self, x):
        x = self.maps(x)
        if not self.improved:
            return self.fc(x.mean((2, 3)))
        return self.features(self.fc(torch.flatten(self.bn2(x), 1)))


def make_net(name, seed=0, **options):
    """A net with random weights and statistics, in inference mode, whose features are of the order of one."""
    torch.manual_seed(seed)
    net = Net(name, **options)
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        elif isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, 0.0, 0.5)
    for name, module in net.named_modules():  # the last normalisation of a block keeps the sums of 49 blocks small
        if name.endswith("bn3") or (name.startswith("layer") and name.endswith("bn2") and not net.improved):
            nn.init.uniform_(module.weight, 0.1, 0.4)
    return net.eval()

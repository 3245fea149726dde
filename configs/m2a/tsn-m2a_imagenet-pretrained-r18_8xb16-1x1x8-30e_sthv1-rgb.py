# M2A before every residual block of TSN-R18, the authors' recipe. The crops are TSN's.
_base_ = 'tsn-m2a_imagenet-pretrained-r50_8xb16-1x1x8-30e_sthv1-rgb.py'

model = dict(
    backbone=dict(
        backbone=dict(
            pretrained='https://download.pytorch.org/models/resnet18-f37072fd.pth', depth=18
        )
    ),
    cls_head=dict(in_channels=512),
)

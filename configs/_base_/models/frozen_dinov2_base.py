# DINOv2 ViT-B/14.
_base_ = 'frozen_image_base.py'

model = dict(
    backbone=dict(
        encoder=dict(type='transformers.Dinov2Model', image_size=518, patch_size=14),
        pretrained='facebook/dinov2-base',  # or the folder where it lies
    ),
)

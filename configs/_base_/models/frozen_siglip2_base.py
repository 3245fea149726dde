# SigLIP 2 ViT-B/16.
_base_ = 'frozen_image_base.py'

model = dict(
    backbone=dict(
        encoder=dict(type='transformers.SiglipVisionModel', vision_use_head=False),
        pretrained='google/siglip2-base-patch16-224',  # or the folder where it lies
    ),
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
)

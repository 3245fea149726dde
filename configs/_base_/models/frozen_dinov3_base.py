# DINOv3 ViT-B/16.
_base_ = 'frozen_image_base.py'

model = dict(
    backbone=dict(
        encoder=dict(
            type='transformers.DINOv3ViTModel',
            hidden_size=768,
            intermediate_size=3072,
            num_attention_heads=12,
            num_register_tokens=4,
        ),
        pretrained='facebook/dinov3-vitb16-pretrain-lvd1689m',  # or the folder where it lies
    ),
)

# ATA for every attention over time of the divided TimeSformer. The schedule is TimeSformer's on
# Kinetics; the paper's is not known here.
_base_ = [
    '../_base_/datasets/sthv2.py',
    '../_base_/schedules/sgd_15e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='Recognizer3D',
    backbone=dict(
        type='MotionBackbone',
        backbone=dict(
            type='TimeSformer',
            pretrained='https://download.openmmlab.com/mmaction/recognition/timesformer/'
            'vit_base_patch16_224.pth',
            num_frames=16,
            img_size=224,
            patch_size=16,
            embed_dims=768,
            in_channels=3,
            dropout_ratio=0.0,
            attention_type='divided_space_time',
            norm_cfg=dict(type='LN', eps=1e-6),
        ),
        motion=dict(type='AlignmentGuidedTemporalAttention'),
        mode='replace',
        alternation='L',
    ),
    cls_head=dict(type='TimeSformerHead', num_classes=174, in_channels=768, average_clips='prob'),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
        format_shape='NCTHW',
    ),
)
train_dataloader = dict(collate_fn=dict(type='pseudo_collate'), dataset=dict(num_repeats=1))

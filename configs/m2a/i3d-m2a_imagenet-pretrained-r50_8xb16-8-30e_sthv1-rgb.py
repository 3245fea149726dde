# M2A before every residual block of I3D-R50 on the same 8 frames, with no stride over time in the
# stem, so that M2A sees all of them; the recipe of the authors' R18.
_base_ = [
    'mmaction::_base_/models/i3d_r50.py',
    '../_base_/datasets/sthv1_segments.py',
    '../_base_/schedules/sgd_m2a_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='MotionBackbone',
        backbone=dict(
            type='ResNet3d',
            pretrained2d=True,
            pretrained='torchvision://resnet50',
            depth=50,
            conv1_kernel=(5, 7, 7),
            conv1_stride_t=1,
            pool1_stride_t=1,
            with_pool2=False,
            norm_eval=False,
            inflate=((1, 1, 1), (1, 0, 1, 0), (1, 0, 1, 0, 1, 0), (0, 1, 0)),
        ),
        motion=dict(type='MotionAwareAttention'),
        mode='insert',
        alternation='L',
        zero_init=False,
    ),
    cls_head=dict(num_classes=174, dropout_ratio=0.5),
)

train_pipeline = _base_.train_pipeline
train_pipeline[-2] = dict(type='FormatShape', input_format='NCTHW')
test_pipeline = _base_.test_pipeline
test_pipeline[-2] = dict(type='FormatShape', input_format='NCTHW')
# One clip of 8 frames, where 2-D networks see 8 clips of one.
train_pipeline[0] = dict(type='UniformSample', clip_len=8)
test_pipeline[0] = dict(type='UniformSample', clip_len=8, num_clips=1, test_mode=True)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

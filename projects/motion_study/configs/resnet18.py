# TSN; is_shift=True makes it TSM. Half of ResNet-18: with four stages its 11 M parameters learn 1800
# clips by heart. The first stage has stride 2, so that the grid there is 8 x 8, as of the others.
_base_ = 'protocol.py'

model = dict(
    type='Recognizer2D',
    backbone=dict(
        type='ShallowResNetTSM',
        depth=18,
        num_segments=8,
        is_shift=False,
        last_ratio=1.0,
        num_stages=2,
        out_indices=(1,),
        strides=(2, 2),
        dilations=(1, 1),
        pretrained=None,
        pretrained2d=False,
    ),
    cls_head=dict(
        type='TSMHead',
        num_classes=12,
        in_channels=128,
        num_segments=8,
        dropout_ratio=0.0,
        label_smooth_eps=0.1,
        average_clips='score',
    ),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[114.75, 114.75, 114.75],
        std=[57.375, 57.375, 57.375],
        format_shape='NCHW',
    ),
)
train_pipeline = _base_.train_pipeline
test_pipeline = _base_.test_pipeline
for __pipeline in (train_pipeline, test_pipeline):
    __pipeline[5]['input_format'] = 'NCHW'
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
# With 1e-3 TSM stays at chance for 2034 steps, and EMIM with one of two seeds for 600.
optim_wrapper = dict(optimizer=dict(lr=3e-4))

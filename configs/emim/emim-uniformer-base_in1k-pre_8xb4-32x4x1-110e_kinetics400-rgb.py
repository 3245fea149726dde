_base_ = 'emim-uniformer-small_in1k-pre_8xb8-16x4x1-110e_kinetics400-rgb.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.4,
        init_cfg=dict(checkpoint=_base_.uniformer_weights.base_in1k),
    )
)

optim_wrapper = dict(optimizer=dict(lr=8e-4), accumulative_counts=8)  # batch 256
param_scheduler = [
    {**_base_.param_scheduler[0], 'start_factor': 1e-6 / 8e-4},
    _base_.param_scheduler[1],
]
auto_scale_lr = dict(base_batch_size=32)

# 32 frames a clip
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        pipeline=[
            {**step, 'clip_len': 32} if 'clip_len' in step else step
            for step in _base_.train_dataloader.dataset.pipeline
        ]
    ),
)
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            {**step, 'clip_len': 32} if 'clip_len' in step else step
            for step in _base_.val_dataloader.dataset.pipeline
        ]
    )
)
test_dataloader = dict(
    dataset=dict(
        pipeline=[
            {**step, 'clip_len': 32} if 'clip_len' in step else step
            for step in _base_.test_dataloader.dataset.pipeline
        ]
    )
)

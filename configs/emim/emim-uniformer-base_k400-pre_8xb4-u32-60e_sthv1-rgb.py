_base_ = 'emim-uniformer-small_k400-pre_8xb4-u16-60e_sthv1-rgb.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.55,
        init_cfg=dict(checkpoint=_base_.uniformer_weights.base_k400),
    )
)

optim_wrapper = dict(optimizer=dict(lr=4e-4), accumulative_counts=2)  # batch 64
param_scheduler = [
    {**_base_.param_scheduler[0], 'start_factor': 1e-6 / 4e-4},
    _base_.param_scheduler[1],
]

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

_base_ = 'emim-uniformer-small_k400-pre_8xb4-u16-60e_sthv1-rgb.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.55,
        init_cfg=dict(checkpoint=_base_.uniformer_weights.base_k400),
    )
)

optim_wrapper = dict(optimizer=dict(lr=4e-4), accumulative_counts=2)
param_scheduler = [
    {**_base_.param_scheduler[0], 'start_factor': 1e-6 / 4e-4},
    {**_base_.param_scheduler[1], 'eta_min_ratio': 1e-6 / 4e-4},
]
auto_scale_lr = dict(base_batch_size=64)

clip_len = 32  # in every pipeline and loader
train_pipeline, val_pipeline, test_pipeline = (
    [{**step, 'clip_len': clip_len} if 'clip_len' in step else step for step in steps]
    for steps in (_base_.train_pipeline, _base_.val_pipeline, _base_.test_pipeline)
)
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

_base_ = 'emim-uniformer-small_in1k-pre_8xb8-16x4x1-110e_kinetics400-rgb.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.3,
        init_cfg=dict(checkpoint=_base_.uniformer_weights.base_in1k),
    )
)

optim_wrapper = dict(optimizer=dict(lr=5e-4), clip_grad=dict(max_norm=5.0), accumulative_counts=4)
param_scheduler = [
    {**_base_.param_scheduler[0], 'start_factor': 1e-6 / 5e-4},
    {**_base_.param_scheduler[1], 'eta_min_ratio': 1e-6 / 5e-4},
]
train_dataloader = dict(batch_size=5)
auto_scale_lr = dict(base_batch_size=160)

_base_ = 'emim-uniformer-small_k400-pre_8xb4-u16-50e_sthv2-rgb.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.4,
        init_cfg=dict(checkpoint=_base_.uniformer_weights.base_k400),
    )
)

optim_wrapper = dict(optimizer=dict(lr=2.5e-4))
param_scheduler = [
    {**_base_.param_scheduler[0], 'start_factor': 1e-6 / 2.5e-4},
    {**_base_.param_scheduler[1], 'eta_min_ratio': 1e-6 / 2.5e-4},
]
train_dataloader = dict(batch_size=5)
auto_scale_lr = dict(base_batch_size=40)

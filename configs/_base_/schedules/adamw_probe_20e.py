# For what is trained on frozen features. Ours, after V-JEPA 2's probes: 20 epochs, a cosine, AdamW.
_base_ = 'adamw.py'

max_epochs = 20
warmup_epochs = 1
train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    {**_base_.param_scheduler[0], 'end': warmup_epochs},
    {
        **_base_.param_scheduler[1],
        'begin': warmup_epochs,
        'end': max_epochs,
        'T_max': max_epochs - warmup_epochs,
    },
]
auto_scale_lr = dict(base_batch_size=64)

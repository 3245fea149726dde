_base_ = 'adamw.py'

max_epochs = 110
warmup_epochs = 10
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    {**_base_.param_scheduler[0], 'end': warmup_epochs},
    {
        **_base_.param_scheduler[1],
        'begin': warmup_epochs,
        'end': max_epochs,
        'T_max': max_epochs - warmup_epochs,
    },
]

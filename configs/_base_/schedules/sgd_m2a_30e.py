# M2A's recipe on Something-Something V1: lr for a batch of 128, divided by ten at epoch 20 of 30.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=30, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=20.0),
)
param_scheduler = [dict(type='MultiStepLR', end=30, milestones=[20], gamma=0.1)]
auto_scale_lr = dict(enable=False, base_batch_size=128)

# What all arms of the study share: data, batch, optimizer. study.py adds the arm, the data set, and
# the steps.
_base_ = [
    '../../../configs/_base_/datasets/motion_shapes.py',
    '../../../configs/_base_/schedules/adamw.py',
    '../../../configs/_base_/default_runtime.py',
]

# Found from the repository's root, which must be on PYTHONPATH.
custom_imports = dict(
    imports=['mmaction_emim', 'projects.motion_study.models'], allow_failed_imports=False
)

__open, __sample, __decode, *__pack = _base_.train_pipeline
__order = dict(type='FrameOrder', order='forward')
__resize = dict(type='Resize', scale=(64, 64), keep_ratio=False)
train_pipeline = [__open, __sample, __order, __decode, __resize, *__pack]
test_pipeline = [__open, dict(**__sample, test_mode=True), __order, __decode, __resize, *__pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
val_dataloader = val_evaluator = val_cfg = None  # arms are tested once, after the last step

train_cfg = dict(max_epochs=9)
optim_wrapper = dict(optimizer=dict(lr=1e-3), clip_grad=dict(max_norm=5.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=113),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=False, begin=113, end=1017, T_max=904),
]
default_hooks = dict(checkpoint=dict(interval=3, save_best=None, max_keep_ckpts=1))

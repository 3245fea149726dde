_base_ = 'mmaction::_base_/default_runtime.py'

# The one tie to this project: registers its components and closes the gaps of the released wheels.
custom_imports = dict(imports=['mmaction_emim'], allow_failed_imports=False)

# A full disk or a killed process leaves no half checkpoint, and always one that is whole.
default_hooks = dict(
    checkpoint=dict(
        type='DurableCheckpointHook', max_keep_ckpts=3, backend_args=dict(backend='atomic')
    ),
    resume=dict(type='SameTrainingHook'),
)
custom_hooks = [
    dict(type='TrainingCheckHook'),
    dict(type='AuthorsCheckpointHook'),
    dict(type='StopAtNaNHook'),
    dict(type='EpochSeedHook'),
    dict(type='ThroughputHook'),
    dict(type='ChanceLossHook'),
    dict(type='FailedClipsHook'),
]

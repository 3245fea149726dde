_base_ = 'mmaction::_base_/default_runtime.py'

# The one tie to this project: registers its components and closes the gaps of the released wheels.
custom_imports = dict(imports=['mmaction_emim'], allow_failed_imports=False)

default_hooks = dict(checkpoint=dict(max_keep_ckpts=3))
custom_hooks = [
    dict(type='ForeignCheckpointHook'),
    dict(type='EpochSeedHook'),
    dict(type='ThroughputHook'),
    dict(type='FailedClipsHook'),
]

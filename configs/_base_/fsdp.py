# Add to _base_: parameters, gradients and optimizer state are sharded over the processes.
runner_type = 'FlexibleRunner'
strategy = dict(
    type='ResumableFSDPStrategy',
    model_wrapper=dict(type='AnyDeviceFSDP', use_orig_params=True),
    # One checkpoint, of whole tensors, as every other run's.
    state_dict_cfg=dict(
        state_dict_type='FULL_STATE_DICT',
        state_dict_config=dict(type='FullStateDictConfig'),
        optim_state_dict_config=dict(type='FullOptimStateDictConfig'),
    ),
)

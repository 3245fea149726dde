# Something-Something V1 for 3-D networks: 16 frames, spread over the clip.
_base_ = 'sthv1_frames.py'

clip_len = 16

__decode = dict(type='CheckedRawFrameDecode')
__sample = dict(type='UniformSample', clip_len=clip_len, num_clips=1, test_mode=True)
train_pipeline = [dict(type='UniformSample', clip_len=clip_len), __decode, *_base_.train_view]
val_pipeline = [__sample, __decode, *_base_.val_view]
test_pipeline = [__sample, __decode, *_base_.test_view]

train_dataloader = dict(
    collate_fn=dict(type='repeat_pseudo_collate'),  # batch_size counts videos
    dataset=dict(num_repeats=2, pipeline=train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

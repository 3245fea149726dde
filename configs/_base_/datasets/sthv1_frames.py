# Something-Something V1: folders of JPEG frames. No flip: left and right are labels.
_base_ = 'default.py'

data_root = 'data/sthv1'
num_classes = 174
# Mirrored, one is the other: for Flip(flip_label_map=...), without which it is refused.
flip_label_map = {2: 4, 4: 2, 30: 41, 41: 30, 52: 66, 66: 52}

__frames = dict(
    type='CheckedRawframeDataset',
    data_root=data_root,
    data_prefix=dict(img='rawframes'),
    num_classes=num_classes,
    left_right=True,
    filename_tmpl='{:05}.jpg',
    start_index=1,
)
__val = dict(**__frames, ann_file='sthv1_val_list_rawframes.txt')
train_dataloader = dict(dataset=dict(**__frames, ann_file='sthv1_train_list_rawframes.txt'))
val_dataloader = dict(dataset=__val)
test_dataloader = dict(dataset=__val)

# Kinetics-600: mp4 clips.
_base_ = 'kinetics400.py'

data_root = 'data/kinetics600'
num_classes = 600

__videos = dict(data_root=data_root, num_classes=num_classes)
__val = dict(**__videos, ann_file='kinetics600_val_list_videos.txt')
train_dataloader = dict(dataset=dict(**__videos, ann_file='kinetics600_train_list_videos.txt'))
val_dataloader = dict(dataset=__val)
test_dataloader = dict(dataset=__val)

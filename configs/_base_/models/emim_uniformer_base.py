_base_ = 'emim_uniformer_small.py'

model = dict(backbone=dict(arch='base', drop_path_rate=0.4))

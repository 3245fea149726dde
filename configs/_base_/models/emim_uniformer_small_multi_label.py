# For clips with several labels: a sigmoid for each class, and no softmax over all of them.
_base_ = 'emim_uniformer_small.py'

model = dict(cls_head=dict(multi_class=True, loss_cls=dict(type='BCELossWithLogits')))

# As own.py, for lists with several labels a line: path label label ...
_base_ = 'own.py'

__several = dict(dataset=dict(multi_class=True))
train_dataloader = __several
val_dataloader = __several
test_dataloader = __several
val_evaluator = dict(type='MultiLabelMetric')
test_evaluator = val_evaluator

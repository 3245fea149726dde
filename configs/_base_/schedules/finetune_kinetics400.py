# Data and schedule in one, for configs that name this file.
_base_ = ['../datasets/kinetics400_train_val.py', 'adamw_30e.py']

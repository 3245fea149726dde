# ATA before every block of an image ViT-B that sees single frames. The schedule is TimeSformer's
# on Kinetics; the paper's is not known here.
_base_ = 'timesformer-ata_divST_8xb4-u16-15e_sthv2-rgb.py'

model = dict(backbone=dict(backbone=dict(attention_type='space_only'), mode='insert'))

import pytest
import torch
from mmengine.config import Config

from mmaction_emim.apis import init_recognizer

CONFIG = Config(
    dict(
        model=dict(
            type='Recognizer3D',
            backbone=dict(type='EMIMUniFormer', depth=[1, 1, 2, 1], embed_dim=[8, 16, 64, 64]),
            cls_head=dict(type='I3DHead', num_classes=174, in_channels=64),
        )
    )
)


def test_takes_the_authors_file(authors_weights, tmp_path):
    theirs = authors_weights(depth=[1, 1, 2, 1], dims=[8, 16, 64, 64])
    torch.save(dict(model_state=theirs), tmp_path / 'x.pyth')
    model = init_recognizer(CONFIG, tmp_path / 'x.pyth', 'cpu')
    assert not model.training
    assert torch.equal(model.cls_head.fc_cls.bias, theirs['head.bias'])
    for name, x in model.backbone.state_dict().items():
        assert torch.equal(x, theirs[name]), name


def test_refuses_another_network(tmp_path):
    torch.save({'conv1.weight': torch.ones(1)}, tmp_path / 'r50.pth')
    with pytest.raises(ValueError, match='r50.pth: not one weight of the checkpoint fits'):
        init_recognizer(CONFIG, tmp_path / 'r50.pth', 'cpu')


def test_without_a_checkpoint():
    assert init_recognizer(CONFIG, device='cpu').cfg is CONFIG

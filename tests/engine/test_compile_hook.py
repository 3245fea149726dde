import pytest
import torch
from torch import nn

from mmaction_emim.engine import CompileBackboneHook
from mmaction_emim.models import EMIMUniFormer

from .conftest import Net, Vectors, loader


def compile_counter():
    """A backend of torch.compile that notes the graphs it was given and runs them as they are."""
    graphs = []

    def backend(graph, example_inputs):
        graphs.append(graph)
        return graph.forward

    return graphs, backend


@pytest.fixture(autouse=True)
def nothing_compiled_yet():
    torch.compiler.reset()


def test_compiles_the_backbone_alone(train, tmp_path):
    graphs, backend = compile_counter()
    hook = CompileBackboneHook(backend=backend, fullgraph=True, dynamic=True)
    compiled = train('compiled', custom_hooks=[hook])
    assert graphs
    for graph in graphs:
        called = {str(node.target) for node in graph.graph.nodes if node.op != 'placeholder'}
        assert any('relu' in name for name in called), called
        assert not any('square' in name for name in called), called  # of the loss

    plain = train('plain')
    names = [list(runner.model.state_dict()) for runner in (compiled, plain)]
    assert names[0] == names[1]
    saved = torch.load(tmp_path / 'compiled' / 'epoch_1.pth', weights_only=True)['state_dict']
    assert list(saved) == names[1]
    for name, x in plain.model.state_dict().items():
        torch.testing.assert_close(saved[name], x)


def test_compiles_inside_a_wrapper(train):
    class Runner:
        model = nn.DataParallel(Net())

    graphs, backend = compile_counter()
    CompileBackboneHook(backend=backend).before_run(Runner)
    Runner.model.module.backbone(torch.zeros(2, 4))
    assert len(graphs) == 1


def test_passes_its_options_on(train):
    class Breaks(nn.Module):
        def forward(self, x):
            torch._dynamo.graph_break()
            return x

    net = Net()
    net.backbone.dropout = Breaks()
    _, backend = compile_counter()
    with pytest.raises(torch._dynamo.exc.Unsupported):
        train(model=net, custom_hooks=[CompileBackboneHook(backend=backend, fullgraph=True)])


def test_trains_emim_without_a_graph_break(train):
    class Clips(Vectors):
        def __len__(self):
            return 2

        def __getitem__(self, idx):
            return dict(inputs=torch.randn(3, 4, 32, 32))

    net = Net()
    net.backbone = EMIMUniFormer(depth=[1, 1, 2, 1], embed_dim=[8, 16, 64, 64], head_dim=64)
    net.head = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(64, 1))
    before = net.backbone.blocks3[0].attn.qkv.weight.clone()
    hook = dict(type='CompileBackboneHook', backend='aot_eager', fullgraph=True)
    runner = train(model=net, train_dataloader=loader(Clips()), custom_hooks=[hook])
    assert not torch.equal(runner.model.backbone.blocks3[0].attn.qkv.weight, before)

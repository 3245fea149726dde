import io
import os
import pickle
import signal
import socket
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.visualization import LocalVisBackend
from torch.utils.data import DataLoader, Dataset

from mmaction_emim.utils.command_line import check_overrides, explain, run

GONE = 'another process of this job has ended, its own error says why'
SILENT = (
    'another process of this job did not answer in time, which env_cfg.dist_cfg.timeout sets, in '
    'seconds'
)


def test_unknown_top_level_override():
    cfg = Config(dict(train_dataloader=dict()))
    check_overrides(cfg, {'train_dataloader.batch_size': 2, 'load_from': 'x.pth'})
    with pytest.raises(ValueError, match='train_dataloadr.*did you mean train_dataloader'):
        check_overrides(cfg, {'train_dataloadr.batch_size': 2})
    with pytest.raises(ValueError, match='fp16: no such config key; set optim_wrapper.type='):
        check_overrides(cfg, {'fp16': True})


def test_explains_an_unknown_argument():
    from mmaction_emim.models import EMIMUniFormer

    with pytest.raises(TypeError) as caught:
        EMIMUniFormer(windw=7)
    assert 'did you mean window' in explain(caught.value)


def test_weights_that_cannot_be_downloaded(tmp_path):
    address = 'http://127.0.0.1:1/weights.pth'  # nobody listens there
    with pytest.raises(OSError) as caught:
        torch.hub.load_state_dict_from_url(address, model_dir=str(tmp_path))
    said = explain(caught.value)
    assert said.startswith(f'{address} cannot be downloaded: ')
    assert 'model.backbone.init_cfg.checkpoint=FILE' in said


def test_explains_an_unregistered_type():
    from mmaction.registry import MODELS

    with pytest.raises(KeyError) as caught:
        MODELS.build(dict(type='EMIMUniformer'))
    assert 'did you mean EMIMUniFormer' in explain(caught.value)


class Failing(Dataset):
    def __init__(self, cause):
        self.cause = cause

    def __len__(self):
        return 1

    def __getitem__(self, idx):
        error = RuntimeError('a.mp4: clip 0 cannot be read\nsecond line')
        if self.cause is None:
            raise error
        try:
            raise self.cause
        except KeyError as cause:
            raise error from cause


@pytest.mark.parametrize('cause', [None, KeyError('inner')], ids=['alone', 'with a cause'])
def test_of_a_worker_it_is_what_failed_there(cause):
    with pytest.raises(RuntimeError, match='DataLoader worker') as caught:
        next(iter(DataLoader(Failing(cause), num_workers=1)))
    assert explain(caught.value) == 'RuntimeError: a.mp4: clip 0 cannot be read'


def test_of_torch_load_it_is_the_name_that_is_not_data(tmp_path):
    torch.save(dict(where=Path('.')), tmp_path / 'x.pth')
    with pytest.raises(pickle.UnpicklingError) as caught:
        torch.load(tmp_path / 'x.pth', weights_only=True)
    kind = f'{type(Path()).__module__}.{type(Path()).__name__}'
    assert explain(caught.value) == (
        f'the checkpoint holds {kind}, which is not plain data and could run code: it is not '
        'loaded; save its weights alone'
    )


def test_of_torch_load_it_is_the_name_that_it_blocks(tmp_path):
    """Which torch says in other words."""
    torch.save(dict(where=os.system), tmp_path / 'x.pth')
    with pytest.raises(pickle.UnpicklingError) as caught:
        torch.load(tmp_path / 'x.pth', weights_only=True)
    assert explain(caught.value).startswith('the checkpoint holds posix.system, which is not plain')


def test_of_torch_load_it_is_the_reason(tmp_path):
    (tmp_path / 'x.pth').write_bytes(b'\x80\x02\x95text')
    with pytest.raises(pickle.UnpicklingError) as caught:
        torch.load(tmp_path / 'x.pth', weights_only=True)
    assert explain(caught.value) == (
        'the checkpoint cannot be loaded as plain data: Unsupported operand 149'
    )


@pytest.mark.parametrize(
    'error, sentence',
    [
        (
            RuntimeError(
                'CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronous'
                '\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n'
            ),
            'CUDA error: device-side assert triggered',
        ),
        (
            RuntimeError('Error(s) in loading Net:\n\tsize mismatch'),
            'Error(s) in loading Net: size mismatch',
        ),
        (KeyError('label'), 'KeyError: label'),
        (AssertionError(), 'AssertionError'),
        (ValueError('one\n\n'), 'ValueError: one'),
    ],
    ids=['cuda', 'colon', 'key', 'nothing', 'word'],
)
def test_it_is_the_first_line(error, sentence):
    assert explain(error) == sentence


@pytest.fixture(autouse=True)
def handler():
    """What ``run`` sets for a process that ends."""
    before = signal.getsignal(signal.SIGCHLD)
    yield
    signal.signal(signal.SIGCHLD, before)


def fail():
    raise ValueError('window must be odd')


@pytest.fixture
def logger(tmp_path, monkeypatch):
    monkeypatch.setattr(MMLogger, '_instance_dict', OrderedDict())
    return lambda: MMLogger.get_instance('run', log_file=str(tmp_path / 'run.log'))


def test_the_traceback_is_in_the_log_file(logger, tmp_path, capsys):
    logger()
    with pytest.raises(SystemExit) as stop:
        run(fail)
    said, log = capsys.readouterr().err, (tmp_path / 'run.log').read_text()
    assert stop.value.code == 1
    assert said.splitlines()[1:] == [f'traceback: {tmp_path}/run.log', 'error: window must be odd']
    assert ' - window must be odd\nTraceback' in log and ', in fail\n' in log


def test_without_a_log_file_it_is_on_the_screen(logger, capsys):
    with pytest.raises(SystemExit):
        run(fail)
    said = capsys.readouterr().err
    assert ', in fail\n' in said and said.splitlines()[-1] == 'error: window must be odd'


@pytest.mark.parametrize(
    'said, sentence',
    [
        (
            '[gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:3: Connection reset by peer.',
            GONE,
        ),
        ('[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:3', GONE),
        ('NCCL error: remote process exited or there was a network error', GONE),
        ('[gloo/unbound_buffer.cc:81] Timed out waiting 9ms for recv operation', SILENT),
    ],
)
def test_of_several_processes_it_is_which_ends_and_why(said, sentence, monkeypatch, capsys):
    def fails():
        raise RuntimeError(said)

    monkeypatch.setenv('RANK', '1')
    monkeypatch.setenv('WORLD_SIZE', '4')
    with pytest.raises(SystemExit):
        run(fails)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f'error: process 1 of 4, on {socket.gethostname()}: {sentence} ({said})'


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='needs a device that is full')
def test_what_a_terminal_cannot_show_is_shown_as_its_number(monkeypatch):
    """As of names in another script, or of file names that are no UTF-8."""
    shown = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(shown, encoding='ascii', newline='\n'))
    run(lambda: print('caf\udce9 跑', flush=True))
    assert shown.getvalue() == b'caf\\udce9 \\u8dd1\n'


def test_a_full_disk_is_said_with_the_file(tmp_path):
    """The error comes when the file is closed, without its name."""
    path = tmp_path / 'scalars.json'
    path.symlink_to('/dev/full')
    with pytest.raises(OSError) as caught:
        LocalVisBackend(save_dir=str(tmp_path)).add_scalar('loss', 1.0)
    assert explain(caught.value) == f'[Errno 28] No space left on device: {path}'


@pytest.mark.parametrize('based', [False, True])
@pytest.mark.parametrize(
    'name, content, sentence',
    [
        ('a.py', b'x = 1\n# \xe9\n', ':2: expected UTF-8 text: invalid continuation byte'),
        ('a.py', b'x = 1\0', ': source code string cannot contain null bytes'),
        ('a.py', b'x = (', ": '(' was never closed"),
        ('a.json', b'{"a": ', ': Expecting value: line 1 column 7'),
        ('a.yaml', b'a: [', ': while parsing a flow node'),
        ('a.py', b'x = 1 / 0', ': division by zero'),
    ],
)
def test_a_config_that_cannot_be_read_is_named(tmp_path, name, content, sentence, based):
    path = tmp_path / name
    path.write_bytes(content)
    if based:
        (tmp_path / 'derived.py').write_text(f'_base_ = {name!r}')
    with pytest.raises(Exception) as caught:  # noqa: B017  of any class
        Config.fromfile(tmp_path / 'derived.py' if based else path)
    assert explain(caught.value).startswith(f'{path}{sentence}')

import importlib
import sys
from importlib.machinery import SourceFileLoader

import pytest

from mmaction_emim.utils.import_hook import ImportHook


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose modules note that their code ran; forgotten after the test."""
    folder = tmp_path / 'hooked_package'
    folder.mkdir()
    (folder / '__init__.py').write_text('')
    for name in ('first', 'second'):
        (folder / f'{name}.py').write_text('steps = [*globals().get("steps", []), "code"]\n')
    (folder / 'broken.py').write_text('raise OSError("broken")\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, 'meta_path', [*sys.meta_path])
    yield folder.name
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def note(step):
    def action(module):
        module.steps = [*getattr(module, 'steps', []), step]

    return action


def test_calls_before_and_after_the_code(package):
    name = f'{package}.first'
    hook = ImportHook({name: [note('before')]}, {name: [note('after'), note('last')]})
    hook.install()
    assert name not in sys.modules
    first = importlib.import_module(name)
    assert first.steps == ['before', 'code', 'after', 'last']
    assert type(first.__loader__) is type(first.__spec__.loader) is SourceFileLoader
    assert importlib.import_module(f'{package}.second').steps == ['code']


def test_makes_up_for_what_was_imported_and_installs_once(package):
    name = f'{package}.first'
    first = importlib.import_module(name)
    hook = ImportHook({name: [note('before')]}, {name: [note('after')]})
    hook.install()
    hook.install()
    assert first.steps == ['code', 'after']
    assert sys.meta_path.count(hook) == 1


def test_errors_of_imports_stay_what_they_are(package):
    def never(module):
        pytest.fail('called after code that failed')

    hook = ImportHook({}, {f'{package}.broken': [never], f'{package}.missing': [never]})
    hook.install()
    with pytest.raises(OSError, match='broken'):
        importlib.import_module(f'{package}.broken')
    with pytest.raises(ModuleNotFoundError, match='hooked_package.missing'):
        importlib.import_module(f'{package}.missing')
    assert f'{package}.broken' not in sys.modules

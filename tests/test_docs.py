"""Links of the Markdown files lead somewhere; the API reference leaves nothing public out."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ('build', 'data', 'work_dirs')  # what is written there meanwhile is no page of ours
FOLDERS = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith('.')]
FOLDERS = [path for path in FOLDERS if path.name not in OUTPUT]
PAGES = [page for folder in FOLDERS for page in folder.rglob('*.md') if '_build' not in page.parts]
PAGES += [page for name in OUTPUT if (page := ROOT / name / 'README.md').exists()]
PAGES = sorted([*ROOT.glob('*.md'), *PAGES])


def anchors(page: Path) -> set[str]:
    """Names of the page's headings, as GitHub makes them."""
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r'^#+ (.+)$', text, flags=re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_local_links_lead_to_files_and_headings(page):
    text = re.sub(r'`[^`\n]+`', '', page.read_text())
    targets = re.findall(r'\]\(([^)\s]+)\)', text)
    for target in (t for t in targets if not re.match(r'[a-z]+:', t)):
        path, _, anchor = target.partition('#')
        linked = page.parent / path if path else page
        assert linked.exists(), f'{page.name}: no {target}'
        assert linked.resolve().is_relative_to(ROOT)
        assert not anchor or anchor in anchors(linked), f'{page.name}: no heading {target}'


def public_definitions() -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef]]:
    for path in (ROOT / 'mmaction_emim').rglob('*.py'):
        name = '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.col_offset == 0:
                if not node.name.startswith('_'):
                    yield name, node


def decorators(node: ast.ClassDef | ast.FunctionDef) -> str:
    return ' '.join(map(ast.unparse, node.decorator_list))


def test_the_index_names_every_page():
    index = (ROOT / 'docs' / 'index.md').read_text()
    pages = {path.name for path in (ROOT / 'docs').glob('*.md')} - {'index.md'}
    assert {page for page in pages if f']({page})' not in index} == set()


@pytest.fixture(scope='module')
def api_pages():
    spec = importlib.util.spec_from_file_location('api_pages', ROOT / 'docs' / 'api_pages.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_class_and_function_is_in_the_reference_once(api_pages, tmp_path):
    expected = [
        f'{module}.{node.name}'
        for module, node in public_definitions()
        if module not in api_pages.KERNELS and 'custom_op' not in decorators(node)
    ]
    api_pages.write(tmp_path)
    text = '\n'.join(path.read_text() for path in tmp_path.glob('*.rst'))
    found = []
    for target in re.findall(r'^\.\. auto(?:class|function):: (\S+)$', text, flags=re.MULTILINE):
        module, _, name = target.rpartition('.')
        member = getattr(importlib.import_module(module), name)
        found.append(f'{member.__module__}.{name}')
    assert sorted(found) == sorted(expected)
    assert '.. autoclass:: mmaction_emim.models.motion.EMIMAttention' in text
    assert '.. autofunction:: mmaction_emim.ops.cost_volume' in text
    assert '.. py:data:: mmaction_emim.models.weights.authors.WRAPPERS' in text  # it is referred to


def test_pages_of_what_is_gone_go_too(api_pages, tmp_path):
    (tmp_path / 'mmaction_emim.gone.rst').write_text('')
    api_pages.write(tmp_path)
    assert not (tmp_path / 'mmaction_emim.gone.rst').exists()


@pytest.mark.parametrize('folder', ['mmaction_emim', 'tools', 'projects', 'benchmarks'])
def test_arguments_are_described_by_a_noun(folder):
    """``path: Of the file.`` is no sentence in an API reference."""
    for path in (ROOT / folder).rglob('*.py'):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            assert not re.match(r' +\*{0,2}[a-z_]+: Of\b', line), f'{path}:{number}: {line}'

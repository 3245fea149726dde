"""Sphinx configuration of the site; ``make docs`` builds it.

Its sources are the project's Markdown files where they are, so that one link works on the site and
in a browser of the source, and the docstrings.
"""

import builtins
import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'docs')]

import api_pages  # noqa: E402

from mmaction_emim import __version__  # noqa: E402

project = 'mmaction_emim'
release = version = __version__
html_title = f'{project} {release}'
html_theme = 'furo'
html_copy_source = False
templates_path = ['_templates']
html_additional_pages = {'index': 'to_docs_index.html'}

extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
root_doc = 'docs/index'
include_patterns = [
    '*.md',
    'docs/**',
    'configs/*/README.md',
    'demo/README.md',
    'projects/*/README.md',
    'tools/data/*/README.md',
]
exclude_patterns = ['docs/_build']
myst_heading_anchors = 3

add_function_parentheses = False
autodoc_inherit_docstrings = False  # upstream's refer to upstream's pages
autodoc_member_order = 'bysource'
autodoc_preserve_defaults = True
maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_rtype = False

# Every reference must resolve, except to what others document.
nitpicky = True
OTHERS = '|'.join(
    [
        *sys.stdlib_module_names,
        'av',
        'decord',
        'matplotlib',
        'mmaction',
        'mmcv',
        'mmengine',
        'numpy',
        'torch',
    ]
)
nitpick_ignore_regex = [
    ('py:.*', rf'({OTHERS})(\..*)?'),
    ('py:.*', '|'.join(map(re.escape, dir(builtins)))),
]


def add_navigation(app: Sphinx, docname: str, source: list[str]) -> None:
    """Navigation: the index shows the pages that it links to, docs/api.md those of the API."""
    if docname == root_doc:
        pages = re.findall(r'\]\(([^)#:]+)\.md\)', source[0])
        # A new collection needs no line there.
        pages += [f'../{path.relative_to(ROOT)}'[:-3] for path in ROOT.glob('configs/*/README.md')]
        options = ':hidden:'
    elif docname == 'docs/api':
        pages, options = ['api/*'], ':glob:'
    else:
        return
    source[0] += '\n'.join(['', '```{toctree}', options, '', *dict.fromkeys(pages), '```', ''])


def skip_tuple_fields(
    app: Sphinx, what: str, name: str, member: object, skip: bool, options: object
) -> bool | None:
    """Fields of a NamedTuple are described by its docstring's Attributes."""
    return True if type(member).__name__ == '_tuplegetter' else None


def setup(app: Sphinx) -> None:
    app.connect('autodoc-skip-member', skip_tuple_fields)
    app.connect('builder-inited', lambda app: api_pages.write(ROOT / 'docs/api'))
    app.connect('source-read', add_navigation)

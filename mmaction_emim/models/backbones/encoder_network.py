"""The network of an encoder: a module, timm's, transformers' or your own; and its weights.

Nothing is downloaded unless ``download`` is True; then by the library's own client.
"""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from mmaction.registry import MODELS
from torch import Tensor, nn

from mmaction_emim.models.weights.checkpoint_file import read_checkpoint

TIMM, TRANSFORMERS = 'timm', 'transformers'
Weights = dict[str, Tensor]


class Network(NamedTuple):
    """A network without pretrained weights, and what reads these.

    Attributes:
        module: The network.
        read_weights: Reads its state dict; None where it has no pretrained weights to read.
    """

    module: nn.Module
    read_weights: Callable[[], Weights] | None


def build_network(
    owner: str, encoder: Any, pretrained: bool | str | None = None, download: bool = False
) -> Network:
    """The network that ``encoder`` names, see :class:`.FrameEncoder`.

    Args:
        owner: What errors begin with.
        encoder: As there.
        pretrained: As there.
        download: As there.

    Raises:
        ValueError: An argument is not as there, or there is no such network or weights.
        ImportError: The library is not installed.
        OSError: What is not on this computer may not, or cannot, be downloaded.
    """
    if pretrained is None:
        pretrained = isinstance(encoder, str)
    if isinstance(encoder, str):
        found = _named(owner, encoder, pretrained, download)
    elif isinstance(encoder, nn.Module):
        found = Network(encoder, _from_file(owner, pretrained))
    elif isinstance(encoder, Mapping) and 'type' in encoder:
        found = _from_config(owner, dict(encoder), pretrained, download)
    elif callable(encoder):
        found = Network(encoder(), _from_file(owner, pretrained))
    else:
        raise ValueError(
            f'{owner}: encoder must be a name, a folder, a dict with a type, or a module, '
            f'got {encoder!r}'
        )
    if not isinstance(found.module, nn.Module):
        raise ValueError(
            f'{owner}: encoder must make an nn.Module, got {type(found.module).__name__}'
        )
    return found if pretrained else Network(found.module, None)


def check_call(owner: str, network: nn.Module, kind: str | None, takes: str | None) -> None:
    """Refuse a network that does not answer tokens in their places to pictures alone.

    Args:
        owner: What errors begin with.
        network: The network.
        kind: Its ``model_type``, if it is of transformers.
        takes: Name of its first argument, if it is of transformers.

    Raises:
        ValueError: It needs other arguments besides, is of something else than pictures, or
            shuffles its tokens.
    """
    name = f'{owner}: encoder: {type(network).__name__}'
    if kind == 'vit_mae':
        raise ValueError(
            f'{name} shuffles its tokens, whatever mask_ratio is; their places are lost'
        )
    if takes is not None and not takes.startswith('pixel_values'):
        raise ValueError(f'{name} takes {takes}, and an encoder pixel_values')
    forward = network.forward if takes else getattr(network, 'forward_features', network.forward)
    needed = [
        each.name
        for each in inspect.signature(forward).parameters.values()
        if each.default is each.empty
        and each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    ]
    if more := [each for each in needed if each != (takes or needed[0])]:
        raise ValueError(
            f'{name} needs {", ".join(more)} besides pictures, and gets pictures alone'
        )


def library(owner: str, name: str) -> ModuleType:
    """An optional library.

    Raises:
        ImportError: It is not installed, or cannot be imported here.
    """
    with _importing(owner, name, ImportError, RuntimeError):
        return import_module(name)


@contextmanager
def _importing(owner: str, name: str, *kinds: type[Exception]) -> Iterator[None]:
    """What a library raises as one of ``kinds`` is that it cannot be imported; says why.

    Raises:
        ImportError: It raised such.
    """
    try:
        yield
    except kinds as error:
        cause = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        cure = f'pip install {name}' + (', with the torchvision of this torch' * (name == TIMM))
        if 'torchvision::' in str(cause):
            cure = 'torch and torchvision are of different builds: take both from one index'
        raise ImportError(
            f'{owner}: the encoder needs {name}, which cannot be imported '
            f'({_first_line(cause)}); {cure}'
        ) from error


def _named(owner: str, name: str, pretrained: bool | str, download: bool) -> Network:
    folder = Path(name).expanduser()
    if folder.is_dir():
        config = folder / 'config.json'
        if not config.is_file():
            raise ValueError(f'{owner}: encoder: no config.json in the folder {name}')
        try:
            is_timms = 'architecture' in json.loads(config.read_text())
        except ValueError as error:
            raise ValueError(f'{owner}: {config}: {error}') from error
        if is_timms:
            files = [folder / name for name in ('model.safetensors', 'pytorch_model.bin')]
            file = next((str(file) for file in files if file.is_file()), str(files[0]))
            return _timm(owner, f'local-dir:{folder}', {}, pretrained, download, file)
        return _transformers_named(owner, str(folder), pretrained, download)
    if '/' in name and not name.startswith('timm/'):
        return _transformers_named(owner, name, pretrained, download)
    return _timm(owner, name.removeprefix('timm/'), {}, pretrained, download)


def _from_config(owner: str, options: dict, pretrained: bool | str, download: bool) -> Network:
    kind = options.pop('type')
    if isinstance(kind, str) and kind.startswith(f'{TIMM}.'):
        return _timm(owner, kind.removeprefix(f'{TIMM}.'), options, pretrained, download)
    if isinstance(kind, str) and kind.startswith(f'{TRANSFORMERS}.'):
        cls = _transformers_class(owner, kind.removeprefix(f'{TRANSFORMERS}.'))
        default = cls.config_class()
        for key in options:
            if not hasattr(default, key):
                raise ValueError(f'{owner}: encoder: {type(default).__name__} has no {key}')
        module = _without_predictor(cls(cls.config_class(**options)))
        if pretrained is True:
            raise ValueError(
                f"{owner}: pretrained must be a folder or a hub's name for {kind}, got True"
            )
        read = _reads_transformers(owner, module, pretrained, download)
        return Network(module, read if pretrained else None)
    module = kind(**options) if callable(kind) else MODELS.build({'type': kind, **options})
    return Network(module, _from_file(owner, pretrained))


def _transformers_class(owner: str, name: str) -> Any:
    transformers = library(owner, TRANSFORMERS)
    with _importing(owner, TRANSFORMERS, ImportError):
        cls = getattr(transformers, name, None)
    if getattr(cls, 'config_class', None) is None:
        raise ValueError(f'{owner}: encoder: transformers has no model {name!r}')
    return cls


def _transformers_named(owner: str, name: str, pretrained: bool | str, download: bool) -> Network:
    transformers = library(owner, TRANSFORMERS)
    there = dict(local_files_only=not download, trust_remote_code=False)
    config = _fetched(owner, name, download, transformers.AutoConfig.from_pretrained, **there)
    config = getattr(config, 'vision_config', config)  # SigLIP's and CLIP's half that sees
    try:
        with _importing(owner, TRANSFORMERS, ImportError):
            module = transformers.AutoModel.from_config(config)
    except ValueError as error:
        raise ValueError(f'{owner}: encoder: {name}: {_first_line(error)}') from error
    module = _without_predictor(module)
    where = name if pretrained is True else pretrained
    return Network(module, _reads_transformers(owner, module, where, download))


def _reads_transformers(
    owner: str, module: nn.Module, where: bool | str, download: bool
) -> Callable[[], Weights]:
    def read() -> Weights:
        loaded, report = _fetched(
            owner,
            where,
            download,
            type(module).from_pretrained,
            config=module.config,
            local_files_only=not download,
            output_loading_info=True,
        )
        weights = loaded.state_dict()
        if missing := sorted({*report['missing_keys']} & {*module.state_dict()}):
            raise ValueError(
                f'{owner}: pretrained: {where} has no {missing[0]}, nor {len(missing) - 1} '
                f'other weights of {type(module).__name__}'
            )
        return weights

    return read


def _without_predictor(module: nn.Module) -> nn.Module:
    """V-JEPA 2 without what only its training needs."""
    if hasattr(module, 'encoder') and isinstance(getattr(module, 'predictor', None), nn.Module):
        del module.predictor
    return module


def _fetched(owner: str, name: str, download: bool, get: Callable, *args: Any, **options: Any):
    """What ``get`` returns for a folder or a hub's name.

    Raises:
        OSError: It is not here and may not, or cannot, be downloaded.
        ValueError: What was found is no network that the library knows.
    """
    try:
        return get(name, *args, **options)
    except (OSError, KeyError) as error:
        if Path(name).expanduser().is_dir():
            raise ValueError(f'{owner}: {name}: {_first_line(error)}') from error
        if not download:
            raise OSError(
                f'{owner}: {name} is not on this computer; give a local folder, or download=True '
                'to fetch it from the Hugging Face hub'
            ) from error
        raise OSError(f'{owner}: {name} cannot be downloaded: {_first_line(error)}') from error
    except (ValueError, RuntimeError) as error:
        raise ValueError(f'{owner}: {name}: {_first_line(error)}') from error


def _timm(
    owner: str,
    name: str,
    options: dict,
    pretrained: bool | str,
    download: bool,
    file: str | None = None,
) -> Network:
    timm = library(owner, TIMM)

    def create(**more: Any) -> nn.Module:
        try:
            return timm.create_model(name, **{'num_classes': 0, **options, **more})
        except (RuntimeError, TypeError, AssertionError) as error:
            raise ValueError(f'{owner}: encoder: {name}: {_first_line(error)}') from error

    module = create(pretrained=False)
    if isinstance(pretrained, str):
        file = pretrained

    def read() -> Weights:
        path = file
        if path is None:
            cfg = module.pretrained_cfg
            if not cfg.get('hf_hub_id'):
                raise ValueError(
                    f'{owner}: timm has no weights for {name} on the Hugging Face hub; give '
                    'pretrained a file'
                )
            hub = library(owner, 'huggingface_hub')
            path = _fetched(
                *(owner, cfg['hf_hub_id'], download, hub.hf_hub_download, 'model.safetensors'),
                local_files_only=not download,
            )
        # timm's own reading would run code of some files.
        overlay = dict(state_dict=read_weights(owner, path), source='')
        return create(pretrained=True, pretrained_cfg_overlay=overlay).state_dict()

    return Network(module, read)


def _from_file(owner: str, pretrained: bool | str) -> Callable[[], Weights] | None:
    if pretrained is True:
        raise ValueError(f'{owner}: pretrained must be a file for this encoder, got True')
    return (lambda: read_weights(owner, pretrained)) if pretrained else None


def read_weights(owner: str, path: str) -> Weights:
    """A state dict of a file of safetensors or ``torch.save``, read as data.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds something else.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f'{owner}: pretrained: no such file: {path}')
    if file.suffix == '.safetensors':
        return library(owner, 'safetensors.torch').load_file(file)
    weights = read_checkpoint(file)
    for key in ('state_dict', 'model'):
        if isinstance(weights.get(key), Mapping):
            weights = weights[key]
    return dict(weights)


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__

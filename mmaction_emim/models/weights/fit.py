"""Whatever a checkpoint is wrapped in: its weights under the names of the network that loads it."""

from collections.abc import Mapping, Set
from typing import Any, NamedTuple

from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import load_state_dict
from torch import Tensor, nn

from .authors import from_authors, weights_of
from .load_report import LoadReport

LONGEST_PREFIX = 3  # parts, as in 'model.module.recognizer.'


class Share(NamedTuple):
    """How many of a network's weights a checkpoint set, buffers included."""

    loaded: int
    all: int

    def __str__(self) -> str:
        rest = '' if self.loaded == self.all else '; the others are as initialized'
        return (
            f'{self.loaded} of the {self.all} weights of the network are from the checkpoint{rest}'
        )


def network_of(model: nn.Module) -> nn.Module:
    """The network that MMEngine loads a checkpoint into, without what wraps it."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def fit_checkpoint(checkpoint: dict[str, Any], network: nn.Module) -> dict[str, Tensor]:
    """Give a checkpoint's weights the network's names, in place; one that has them stays as it is.

    Undone are wrappers (:data:`.WRAPPERS`), a prefix as of DataParallel or of another framework's
    module, names for the backbone alone, and the authors' names.

    Args:
        checkpoint: What ``torch.load`` gave.
        network: A recognizer.

    Returns:
        Weights outside of the backbone that are left out, by name, since their shapes differ, such
        as the head of another number of classes; of renamed checkpoints only.

    Raises:
        ValueError: No name fits, or there is no tensor by name; the message has some of both sides.
    """
    weights, own = weights_of(checkpoint), network.state_dict()
    fitting = _renamed(weights, own.keys())
    if own.keys().isdisjoint(fitting):
        raise ValueError(
            f'not one weight of the checkpoint fits the network: it has {_some(weights)}, the '
            f'network {_some(own)}'
        )
    loaded = checkpoint.get('state_dict', checkpoint)
    if fitting.keys() & own.keys() <= loaded.keys():
        return {}
    dropped = {}
    for name in [name for name in fitting if not name.startswith('backbone.')]:
        if name not in own or own[name].shape != fitting[name].shape:
            dropped[name] = fitting.pop(name)
    if loaded is checkpoint:
        checkpoint.clear()
    checkpoint['state_dict'] = fitting
    return dropped


def _renamed(weights: Mapping[str, Tensor], own: Set[str]) -> dict[str, Tensor]:
    """The names with which most weights fit; the given ones before others as good."""
    weights = {name.replace('_orig_mod.', ''): x for name, x in weights.items()}  # torch.compile's
    prefixes = {''}
    for name in weights:
        parts = name.split('.')[:-1][:LONGEST_PREFIX]
        prefixes.update('.'.join(parts[: i + 1]) + '.' for i in range(len(parts)))
    best, most = weights, 0
    for prefix in sorted(prefixes, key=len):
        inner = {k[len(prefix) :]: x for k, x in weights.items() if k.startswith(prefix)}
        for candidate in (inner, from_authors(inner)):
            if (fits := len(own & candidate.keys())) > most:
                best, most = candidate, fits
    return best


def _some(weights: Mapping[str, Tensor]) -> str:
    names = list(weights)
    return f'{", ".join(names[:3])}{" …" if len(names) > 3 else ""}'


class LoadedWeights:
    """Looks what the next ``load_state_dict`` of a network sets, hooks included.

    Args:
        network: The network.
        given: The weights that will be loaded, by name.
        renamed: Those of them that had another name in the file.
        dropped: Weights of the file that are left out, by name.

    Attributes:
        share: :class:`Share`; None until then.
        report: :class:`.LoadReport`; None until then.
    """

    def __init__(
        self,
        network: nn.Module,
        given: Mapping[str, Tensor] | None = None,
        renamed: Set[str] = frozenset(),
        dropped: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.share: Share | None = None
        self.report: LoadReport | None = None
        self.given, self.renamed, self.dropped = given or {}, renamed, dropped or {}
        self._before = {name: x._version for name, x in self._weights(network).items()}
        self._hook = network.register_load_state_dict_post_hook(self._count)

    def _count(self, network: nn.Module, incompatible_keys: Any) -> None:
        self._hook.remove()
        weights = self._weights(network)
        loaded = [name for name, x in weights.items() if x._version != self._before.get(name)]
        self.share = Share(len(loaded), len(weights))
        report = self.report = LoadReport('load_from')
        for name in loaded:
            by_name = name in self.given and name not in self.renamed
            (report.used if by_name else report.converted).append(name)
        theirs = {**self.given, **self.dropped}
        for name in weights.keys() - set(loaded):
            if name not in theirs:
                report.new.append(name)
        for name in weights.keys() & theirs.keys():
            if theirs[name].shape != weights[name].shape:
                report.add_mismatch(name, theirs[name].shape, weights[name].shape)
        report.unused = [
            *incompatible_keys.unexpected_keys,
            *(self.dropped.keys() - weights.keys()),
        ]
        for keys in (report.new, report.mismatched):
            keys.sort()
        self.given = self.dropped = {}  # the file's weights are not kept

    @staticmethod
    def _weights(network: nn.Module) -> dict[str, Tensor]:
        state = network.state_dict(keep_vars=True)
        return {k: x for k, x in state.items() if not k.endswith('.num_batches_tracked')}


def load_weights(network: nn.Module, path: str) -> Share:
    """Load a checkpoint file or address into a network, as ``load_from`` does.

    Raises:
        ValueError: No weight fits.
    """
    return load_checkpoint(network, CheckpointLoader.load_checkpoint(path, 'cpu'), path)


def load_checkpoint(network: nn.Module, checkpoint: dict[str, Any], path: str) -> Share:
    """As :func:`load_weights`, of a file that is read already; ``checkpoint`` is changed.

    Raises:
        ValueError: No weight fits.
    """
    try:
        fit_checkpoint(checkpoint, network)
        counted = LoadedWeights(network)
        load_state_dict(network, checkpoint.get('state_dict', checkpoint), logger='current')
        check_any(counted.share)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return counted.share


def check_any(share: Share) -> None:
    """Refuse a network that is as random as before.

    Raises:
        ValueError: No weight was loaded.
    """
    if not share.loaded:
        raise ValueError(f'{share}: names fit, and no shape does')

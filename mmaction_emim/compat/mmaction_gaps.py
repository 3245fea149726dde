"""Gaps of MMAction2 1.2.0."""

import importlib.machinery
import importlib.metadata
import importlib.util
import inspect
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from os.path import splitext
from types import ModuleType
from typing import Any

import torch
from torch import nn

from . import BatchNorm, Convolution
from .cure import after, before, replace


@before('mmaction.utils.dependency')
def provide_importlib_metadata(_: ModuleType) -> None:
    """mmaction2 imports ``importlib_metadata`` and does not declare it (no upstream issue found).

    Cure: the standard library's twin under that name.
    """
    if importlib.util.find_spec('importlib_metadata') is None:
        sys.modules['importlib_metadata'] = importlib.metadata


@before('mmaction.models.localizers')
def provide_drn(localizers: ModuleType) -> None:
    """mmaction2 1.2.0 lacks ``localizers/drn``: no model imports (mmaction2 issue 2714).

    Cure: a placeholder whose ``DRN`` says so when it is built.
    """
    name = f'{localizers.__name__}.drn'
    if name in sys.modules or importlib.machinery.PathFinder.find_spec(name, localizers.__path__):
        return

    class DRN:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            raise ImportError(
                'DRN: the released mmaction2 1.2.0 does not contain this localizer '
                '(mmaction2 issue 2714); install MMAction2 from its repository to use it'
            )

    from mmaction.registry import MODELS

    MODELS.register_module(module=DRN, force=True)
    package, module = ModuleType(name), ModuleType(f'{name}.drn')
    package.__path__ = []
    package.drn, module.DRN = module, DRN
    sys.modules[name], sys.modules[f'{name}.drn'] = package, module


@before('mmaction.models.multimodal')
def leave_out_vindlu(multimodal: ModuleType) -> None:
    """With any ``transformers`` there, mmaction2 imports VindLU, which fits few of its versions.

    No model imports where VindLU does not (no upstream issue found). Cure: the placeholders that
    upstream registers without ``transformers``; they say why when they are built.
    """
    from mmaction.registry import MODELS, TOKENIZER
    from mmaction.utils import dependency

    vindlu = f'{multimodal.__name__}.vindlu'
    if not dependency.WITH_MULTIMODAL:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # timm's, about names that VindLU uses
            importlib.import_module(vindlu)
    except Exception as error:  # of any of transformers' modules
        dependency.WITH_MULTIMODAL = False
        for registry in (MODELS, TOKENIZER):
            for name, component in list(registry.module_dict.items()):
                if component.__module__.startswith(vindlu):
                    del registry.module_dict[name]
        version = importlib.metadata.version('transformers')
        why = f"MMAction2's VindLU cannot be imported with transformers {version}: {error}"

        def placeholders(names: list[str], registry: Any) -> None:
            for name in names:
                registry.register_module(name=name, module=refuse)

        def refuse(*args: Any, **kwargs: Any) -> None:
            raise ImportError(why)

        dependency.register_multimodal_placeholder = placeholders


@after('mmaction.models.heads.base')
def float_scores(base: ModuleType) -> None:
    """``BaseHead.loss_by_feat`` hands bfloat16 scores to numpy (no upstream issue found).

    Cure: float32 scores.
    """

    def in_float32(original: Callable) -> Callable:
        def loss_by_feat(self: Any, cls_scores: Any, *args: Any, **kwargs: Any) -> dict:
            if isinstance(cls_scores, torch.Tensor):
                cls_scores = cls_scores.float()
            return original(self, cls_scores, *args, **kwargs)

        return loss_by_feat

    replace(base.BaseHead, 'loss_by_feat', in_float32)


@after('mmaction.models.heads.base')
def no_top_k_of_all_classes(base: ModuleType) -> None:
    """Heads log ``top5_acc`` by default, of two classes, too, where it is 1 (no issue found).

    Cure: a head has top-k for fewer than all classes; top-1, where none is left.
    """

    def of_fewer(original: Callable) -> Callable:
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            self.topk = tuple(k for k in self.topk if k < self.num_classes) or (1,)

        return init

    replace(base.BaseHead, '__init__', of_fewer)


@after('mmaction.engine.optimizers.tsm_optim_wrapper_constructor')
def tsm_optimizer_of_any_module(tsm: ModuleType) -> None:
    """``TSMOptimWrapperConstructor`` knows convolutions, linear layers and batch norms only.

    It refuses LayerNorm and leaves out, in silence, what a module with children holds itself (no
    upstream issue found). Cure: these train with the base learning rate and no weight decay.
    """
    known = (Convolution, nn.Linear, BatchNorm, nn.GroupNorm)

    class Known:
        """The modules of a network that upstream has a rule for, and those without parameters."""

        def __init__(self, model: nn.Module) -> None:
            self.model = model

        def modules(self) -> Iterator[nn.Module]:
            for module in self.model.modules():
                if isinstance(module, known) or not module._parameters:
                    yield module

    def with_the_rest(original: Callable) -> Callable:
        def add_params(self: Any, params: list[dict], model: nn.Module, **kwargs: Any) -> None:
            original(self, params, Known(model), **kwargs)
            taken = {id(p) for group in params for p in group['params']}
            rest = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
            if rest:
                params.append({'params': rest, 'lr': self.base_lr, 'weight_decay': 0})

        return add_params

    replace(tsm.TSMOptimWrapperConstructor, 'add_params', with_the_rest)


@after('mmaction.datasets.transforms.loading')
def frames_that_were_asked_for(loading: ModuleType) -> None:
    """``DecordInit``, ``MMDecode``, ``PyAVInit`` and ``OpenCVInit`` give other frames, unsaid.

    decord and OpenCV seek without asking where they arrived; the two latter go by the container's
    number of frames, and take an earlier frame, or one from the start, for what is not there.
    decord has no wheels for Macs and ARM either (no upstream issue found). Cure: they open clips as
    ``CheckedVideoInit`` does, which is exact or an error, and need no decord. Of these the
    ``…Decode`` of ``mode='efficient'`` takes the frames that were asked for, not key frames.
    """

    @cache
    def say_once(name: str) -> None:
        from mmengine.logging import print_log

        message = f'{name} reads clips as CheckedVideoInit does: exactly, with PyAV'
        print_log(message + '; num_threads has no effect' * (name == 'DecordInit'), 'current')

    def saying(name: str) -> Callable:
        def wrapped(original: Callable) -> Callable:
            def init(self: Any, *args: Any, **kwargs: Any) -> None:
                original(self, *args, **kwargs)
                say_once(name)

            return init

        return wrapped

    def opened(self: Any, filename: str) -> dict:
        from mmaction.registry import TRANSFORMS

        if not hasattr(self, 'checked_init'):
            init = TRANSFORMS.get('CheckedVideoInit')
            self.checked_init = init(io_backend=self.io_backend, **self.kwargs)
        return self.checked_init(dict(filename=filename))

    def checked(_: Callable) -> Callable:
        def get_video_reader(self: Any, filename: str) -> Any:
            name = filename if splitext(filename)[1] else f'{filename}.mp4'  # as upstream's
            return opened(self, name)['video_reader']

        return get_video_reader

    def checked_too(_: Callable) -> Callable:
        def transform(self: Any, results: dict) -> dict:
            results.update(opened(self, results['filename']))
            return results

        return transform

    def exact(original: Callable) -> Callable:
        def load_frames(self: Any, container: Any, frame_inds: Any) -> list:
            if hasattr(container, 'seek'):
                return original(self, container, frame_inds)
            return list(container.get_batch(frame_inds).asnumpy())

        return load_frames

    def exact_too(original: Callable) -> Callable:
        def transform(self: Any, results: dict) -> dict:
            if hasattr(results['video_reader'], 'get_batch'):
                return loading.DecordDecode().transform(results)
            return original(self, results)

        return transform

    def with_a_container(original: Callable) -> Callable:
        def transform(self: Any, results: dict) -> dict:
            import av

            if hasattr(results['video_reader'], 'get_batch'):
                source = results['video_reader'].source
                file = io.BytesIO(source) if isinstance(source, bytes) else source
                results['video_reader'] = av.open(file)
            return original(self, results)

        return transform

    replace(loading.DecordInit, '__init__', saying('DecordInit'))
    replace(loading.DecordInit, '_get_video_reader', checked)
    replace(loading.DecordDecode, '_decord_load_frames', exact)
    for name in ('PyAV', 'OpenCV'):
        replace(getattr(loading, f'{name}Init'), '__init__', saying(f'{name}Init'))
        replace(getattr(loading, f'{name}Init'), 'transform', checked_too)
        replace(getattr(loading, f'{name}Decode'), 'transform', exact_too)
    replace(loading.PyAVDecodeMotionVector, 'transform', with_a_container)


def _refuse_unknown_options(cls: type) -> None:
    """Of a component whose ``**kwargs`` nobody reads."""
    known = inspect.signature(cls.__init__).parameters

    def refusing(original: Callable) -> Callable:
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            for name in kwargs:
                if name not in known:
                    raise TypeError(
                        f'{type(self).__name__}.__init__() got an unexpected keyword argument '
                        f'{name!r}'
                    )
            original(self, *args, **kwargs)

        return init

    replace(cls, '__init__', refusing)


@after('mmaction.datasets.transforms.loading')
def options_of_sampling(loading: ModuleType) -> None:
    """``SampleFrames`` ignores what it does not know: ``frame_intervall=4`` samples every frame.

    (No upstream issue found.) Cure: an error, for those that derive from it, too.
    """
    _refuse_unknown_options(loading.SampleFrames)


@after('mmaction.models.backbones.vit_mae')
def options_of_vit_mae(vit_mae: ModuleType) -> None:
    """The same gap in VideoMAE's ``VisionTransformer``, and the same cure."""
    _refuse_unknown_options(vit_mae.VisionTransformer)


@after('mmaction.datasets.transforms.processing')
def negative_hue_shift(processing: ModuleType) -> None:
    """``ColorJitter`` adds a negative shift to uint8 hues: OverflowError in numpy 2.

    (No upstream issue found.) Cure: the same sum in int16.
    """
    import cv2
    import numpy as np

    def adjust_hue(img: np.ndarray, factor: float) -> np.ndarray:
        img = np.clip(img, 0, 255).astype(np.uint8)
        hsv = cv2.cvtColor(img, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(np.int16) + int(factor * 255)) % 180
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.float32)

    try:
        processing.ColorJitter.adjust_hue(np.zeros((1, 1, 3)), -0.1)
    except OverflowError:
        processing.ColorJitter.adjust_hue = staticmethod(adjust_hue)


@after('mmaction.datasets.transforms.wrappers')
def refuse_imgaug_on_numpy_2(wrappers: ModuleType) -> None:
    """``ImgAug`` sets ``np.bool`` for the whole process, and fails on numpy 2 all the same.

    (No upstream issue found; imgaug 0.4.0 is its last release.) Cure: an error before it does.
    """
    import numpy as np

    def refusing(original: Callable) -> Callable:
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            if int(np.__version__.split('.')[0]) >= 2:
                raise ImportError(
                    f'ImgAug: imgaug does not work with numpy {np.__version__}; use numpy 1 or '
                    'another transform, such as RandAugment'
                )
            original(self, *args, **kwargs)

        return init

    replace(wrappers.ImgAug, '__init__', refusing)

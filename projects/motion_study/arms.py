"""The arms of the study, with the outcome expected of each, written before its runs
(README.md names the exception)."""

from fnmatch import fnmatchcase
from typing import Any, NamedTuple

NETWORKS = ('uniformer-tiny', 'vit-tiny', 'resnet18')  # configs/NAME.py
REFERENCE = 'emim'  # the arm that the others of a network are compared with


class Arm(NamedTuple):
    """One way to build a network.

    Attributes:
        network: One of NETWORKS.
        name: Unique within the network.
        relation: Expected of the test accuracy: ``'below'``, ``'near'`` or ``'above'`` that of the
            arm ``other`` of the same network, or ``'chance'``.
        other: See ``relation``.
        why: The reason for the expectation.
        swap: Arguments of MotionBackbone around the network's backbone; None: as it is.
        model: Merged into the config's ``model``.
        order: How training and test clips are played, see FrameOrder.
        main: Whether the arm is also run on data sets other than the clean one.
    """

    network: str
    name: str
    relation: str
    other: str
    why: str
    swap: dict[str, Any] | None = None
    model: dict[str, Any] = {}
    order: str = 'forward'
    main: bool = False

    @property
    def key(self) -> str:
        return f'{self.network}/{self.name}'


def emim(**options: Any) -> dict[str, Any]:
    """EMIM as configs/emim_motionshapes.py trains it from scratch."""
    return dict(type='EMIMAttention', **{'match_init': True, **options})


def ablation(**options: Any) -> dict[str, Any]:
    return dict(type='EMIMAblation', match_init=True, **options)


def ata(assignment: str) -> dict[str, Any]:
    return dict(type='AlignmentGuidedTemporalAttention', assignment=assignment)


M2A = dict(type='MotionAwareAttention')
SQUEEZE = dict(type='MotionSqueeze', window=7)


def transformer_arms(network: str) -> list[Arm]:
    """What both transformers are tried with; every second block gets the module."""

    def arm(name: str, relation: str, other: str, why: str, motion: dict, **more: Any) -> Arm:
        swap = dict(motion=motion, **more.pop('swap', {}))
        return Arm(network, name, relation, other, why, swap, **more)

    insert = dict(mode='insert')
    return [
        Arm(
            network, 'global', 'below', 'emim',
            'joint attention has to learn to match before it can read displacement', main=True,
        ),
        arm(
            'emim', 'above', 'global', 'the affinity with the next frame is a displacement',
            emim(), main=True,
        ),
        arm(
            'context-only', 'below', 'emim', 'values say what is there, not where it came from',
            ablation(branches='context'), main=True,
        ),
        arm(
            'motion-only', 'near', 'emim', 'the class is in the cost volume, not in the values',
            ablation(branches='motion'), main=True,
        ),
        arm(
            'softmax', 'below', 'emim', 'a softmax hides how alike the best match is',
            ablation(motion_from='softmax'),
        ),
        arm(
            'fixed-keys', 'below', 'emim', 'an entry then means a place, not a displacement',
            ablation(keys='fixed'),
        ),
        arm(
            'no-position-bias', 'near', 'emim', "the MLP's first layer has a bias of its own",
            ablation(position_bias=False),
        ),
        arm(
            'same-frame', 'below', 'emim', 'self-similarity shows texture, not motion',
            ablation(frame_step=0), main=True,
        ),
        arm(
            'two-frames-on', 'near', 'emim', 'twice the displacement is still in the window',
            ablation(frame_step=2),
        ),
        arm(
            'mask', 'near', 'emim', 'few tokens touch the border', emim(out_of_frame='mask')
        ),
        arm(
            'no-zero-init', 'near', 'emim', 'training from scratch has nothing to preserve',
            ablation(zero_init=False),
        ),
        arm(
            'no-match-init', 'below', 'emim', 'the affinity is no likeness at first',
            emim(match_init=False),
        ),
        arm(
            'global-match-init', 'above', 'global', 'a likeness from the first step serves it too',
            dict(type='JointAttention', match_init=True),
        ),
        *(
            arm(f'window-{w}', 'near', 'emim', why, emim(window=w))
            for w, why in (
                (3, 'displacements are about one token a step'),
                (5, 'displacements are about one token a step'),
                (9, 'the offsets that it adds are hardly used'),
            )
        ),
        arm(
            'gl', 'near', 'emim', 'deeper tokens match as well', emim(), swap=dict(alternation='GL')
        ),
        arm(
            'll', 'near', 'emim', 'pooling gathers what neighbouring frames told',
            emim(), swap=dict(alternation='L'),
        ),
        arm(
            'm2a', 'below', 'emim', 'frame differences have no direction', M2A,
            swap=dict(mode='insert', zero_init=False), main=True,
        ),
        arm(
            'ata-greedy', 'above', 'ata-none', 'tracks keep a token with itself over time',
            ata('greedy'), swap=insert, main=True,
        ),
        arm(
            'ata-exact', 'near', 'ata-greedy', 'most pairs are the same',
            ata('exact'), swap=insert,
        ),
        arm(
            'ata-none', 'below', 'emim', 'a fixed place sees an object come and go, not where to',
            ata('none'), swap=insert,
        ),
        arm(
            'motion-squeeze', 'near', 'motion-only',
            'one displacement a token is what the classes need', SQUEEZE, swap=insert,
        ),
        arm(
            'struct-sa', 'above', 'global', 'convolutions of the affinity can see displacement',
            dict(type='StructuralSelfAttention'),
        ),
        arm(
            'single-frame', 'chance', '', 'no single frame of MotionShapes tells the class',
            emim(), order='static', main=True,
        ),
    ]  # fmt: skip


# Both before layers of 64 channels on an 8 x 8 grid.
RESNET_LAYERS = dict(mode='insert', layers=['layer1.1.conv1', 'layer2.0.conv1'], zero_init=False)
TSM = dict(backbone=dict(is_shift=True))


def resnet_arms() -> list[Arm]:
    def arm(name: str, relation: str, other: str, why: str, **more: Any) -> Arm:
        return Arm('resnet18', name, relation, other, why, **more)

    everywhere = dict(motion=M2A, mode='insert', alternation='L', zero_init=False)
    local = dict(motion=emim(), **RESNET_LAYERS)

    def ablated(name: str, relation: str, other: str, why: str, **options: Any) -> Arm:
        return arm(
            name, relation, other, why, swap=dict(motion=ablation(**options), **RESNET_LAYERS)
        )

    return [
        arm('tsn', 'chance', '', 'it averages single frames', main=True),
        arm('tsm', 'below', 'emim', 'a shift mixes frames, matching is left to training',
            model=TSM, main=True),
        arm('emim', 'above', 'tsn', 'the only layers that see two frames', swap=local, main=True),
        ablated('context-only', 'below', 'emim', 'values say what is there, not where it came from',
                branches='context'),
        ablated('motion-only', 'near', 'emim', 'the class is in the cost volume, not in the values',
                branches='motion'),
        ablated('softmax', 'below', 'emim', 'a softmax hides how alike the best match is',
                motion_from='softmax'),
        ablated('same-frame', 'chance', '', 'no layer sees two frames', frame_step=0),
        arm('emim-tsm', 'above', 'tsm', 'displacement beside mixed frames', swap=local, model=TSM),
        arm('m2a', 'below', 'emim', 'frame differences have no direction',
            swap=everywhere, main=True),
        arm('motion-squeeze', 'near', 'motion-only', 'the class is in the displacement',
            swap=dict(motion=SQUEEZE, **RESNET_LAYERS)),
        arm('m2a-tsm', 'near', 'tsm', 'the shift carries what there is to see',
            swap=everywhere, model=TSM),
    ]  # fmt: skip


ARMS = [
    *transformer_arms('uniformer-tiny'),
    Arm(
        'uniformer-tiny',
        'neck',
        'above',
        'global',
        'one cost volume, on features that attention made less local',
        model=dict(neck=dict(type='EMIMNeck', in_channels=64)),
    ),
    *transformer_arms('vit-tiny'),
    *resnet_arms(),
]

# The arms of `--budget small`; chosen to carry the main claim in 90 minutes on two cores.
SMALL = [
    'uniformer-tiny/global',
    'uniformer-tiny/emim',
    'uniformer-tiny/context-only',
    'uniformer-tiny/motion-only',
    'uniformer-tiny/softmax',
    'uniformer-tiny/same-frame',
    'vit-tiny/global',
    'vit-tiny/emim',
]


def choose(patterns: list[str]) -> list[Arm]:
    """The arms whose ``network/name`` matches a pattern, as file names do.

    Raises:
        ValueError: A pattern matches none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(arm.key, pattern) for arm in ARMS):
            there = ', '.join(arm.key for arm in ARMS)
            raise ValueError(f'--arms: {pattern!r} matches none of {there}')
    return [arm for arm in ARMS if any(fnmatchcase(arm.key, pattern) for pattern in patterns)]

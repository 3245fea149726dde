"""From a folder of anybody's clips to lists and a config."""

import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmaction_emim.datasets.annotations import AnnotationError
from mmaction_emim.datasets.prepare.own import prepare_own
from mmaction_emim.datasets.prepare.own.clips import OwnClip, find_clips, read_table, with_splits
from mmaction_emim.datasets.prepare.own.describe import Description
from mmaction_emim.datasets.prepare.own.lists import sort_clips, summary
from mmaction_emim.datasets.prepare.own.prepare import _by_path
from mmaction_emim.datasets.prepare.own.settings import choose
from mmaction_emim.datasets.prepare.own.split import take_aside

from ...own_clips import CONTAINERS, write_own_clips
from ..numbered_clips import write

PERSON = r'(p\d+)_'


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('clips') / 'gestures'
    write_own_clips(folder)
    return folder


@pytest.fixture(scope='module')
def said(folder, root, tmp_path_factory) -> tuple[Path, list[str]]:
    """What was written, and what was said, of the folder split by persons."""
    out = tmp_path_factory.mktemp('out') / 'gestures'
    options = dict(group_pattern=PERSON, network='tiny', workers=2)
    return out, list(prepare_own(folder, out, root / 'configs', **options))


def rows(out: Path) -> list[list[str]]:
    return [line.split('\t') for line in (out / 'report.tsv').read_text().splitlines()[1:]]


def test_every_clip_is_in_the_report_with_what_it_is(said, folder):
    out, _ = said
    found = rows(out)
    assert len(found) == 36
    good = [row for row in found if not row[-1]]
    assert len(good) == 31 and {row[4] for row in good} == {'12'}
    assert {tuple(row[6:9]) for row in good} == {('25', '64', '48')}
    assert {Path(row[1]).suffix for row in found} == set(CONTAINERS)
    assert {row[9] for row in good} >= {'h264', 'vp8', 'mpeg4', 'wmv2', 'mpeg2video'}


def test_broken_clips_and_copies_are_left_out_and_said(said):
    out, sentences = said
    reasons = Counter(row[-1].partition(':')[0].partition(' as ')[0] for row in rows(out))
    assert reasons == {'': 31, 'undecodable': 1, 'empty': 1, 'the same content': 3}
    text = '\n'.join(sentences)
    assert '36 clips found: ' in text and '.WMV 3' in text
    assert '1 left out, undecodable: ' in text and '1 left out, empty: ' in text
    assert '3 left out, the same content as another: ' in text and 'copy_of_' in text
    assert 'not a clip of a class, 1: notes.txt' in text


def test_no_person_is_on_both_sides(said):
    out, _ = said
    sides = defaultdict(set)
    for split, _, _, group, *_ in rows(out):
        if split:
            assert group
            sides[group].add(split)
    assert {len(splits) for splits in sides.values()} == {1}
    assert {'train'} in sides.values() and {'val'} in sides.values()


def summed_up(folder: Path, clips: list[OwnClip]) -> str:
    return '\n'.join(summary(sort_clips(folder, clips, good(clips), dict(val=0, test=0), 0), []))


def test_clips_without_a_group_are_said_once_others_have_one(tmp_path):
    every = clips(10)
    some = [clip._replace(group=None if i < 3 else clip.group) for i, clip in enumerate(every)]
    assert '3 clips are of no group, since --group-pattern does not' in summed_up(tmp_path, some)
    for all_alike in (every, [clip._replace(group=None) for clip in every]):
        assert 'of no group' not in summed_up(tmp_path, all_alike)


def test_groups_are_counted(tmp_path):
    said = summed_up(tmp_path, clips(12, 4, 'train') + clips(4, 2, 'val'))
    assert 'groups: train 1, val 2' in said  # two of the three are in the other list, too


def test_names_that_no_terminal_shows_are_escaped(tmp_path):
    names = ['a/1.mp4', 'a/caf\udce9.mp4', 'a/two\nlines.mp4', 'b/2.mp4']
    said = summed_up(tmp_path, [OwnClip(name, name[0], split='train') for name in names])
    assert r"cannot stand in a list: 'a/caf\udce9.mp4', 'a/two\nlines.mp4'" in said
    said.encode()


def test_names_that_differ_in_case_or_spaces_alone_are_said(tmp_path):
    labels = ['East', 'east', 'turn left', 'turn_left', 'west']
    every = [OwnClip(f'{i}.mp4', labels[i % 5], f'{"Pp"[i % 2]}1') for i in range(10)]
    text = summed_up(tmp_path, every)
    for alike in ('classes that differ', 'groups that differ'):
        assert f'{alike} in letter case or spaces alone count as several: ' in text
    assert 'several: East, east' in text and 'several: turn left, turn_left' in text
    assert 'several: P1, p1' in text and 'several: west' not in text
    assert 'that differ' not in summed_up(tmp_path, clips(10))


def test_the_config_builds_what_the_lists_hold(said, folder):
    out, _ = said
    text = (out / 'gestures.py').read_text()
    assert len(text.splitlines()) <= 80 and max(map(len, text.splitlines())) <= 120
    init_default_scope('mmaction')
    cfg = Config.fromfile(out / 'gestures.py')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert dataset[0]['inputs'].shape == (1, 3, 8, 64, 64)
    names = (out / 'label_map.txt').read_text().split()
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        dataset = DATASETS.build(loader.dataset)
        for i in range(len(dataset)):
            info = dataset.get_data_info(i)
            assert Path(info['filename']).parts[-2] == names[info['label']]


def test_a_second_run_gives_the_same_and_keeps_the_users_config(said, folder, root):
    out, _ = said
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != '.jsonl'}
    options = dict(group_pattern=PERSON, network='tiny', workers=1)
    list(prepare_own(folder, out, root / 'configs', **options))
    assert before == {name: (out / name).read_bytes() for name in before}
    (out / 'gestures.py').write_text('mine = 1\nnum_classes = 5\n')
    (out / 'gestures.new.py').write_text('mine = 2\n')
    for _ in range(2):
        said = list(prepare_own(folder, out, root / 'configs', **options))
        stays = 'gestures.py is yours and stays as it is; it has num_classes = 5, where the lists'
        assert any(f'{stays} have 3' in sentence for sentence in said)
        assert said[-1].startswith(f'{out / "gestures.new2.py"}: a config for these clips')
    assert (out / 'gestures.py').read_text() == 'mine = 1\nnum_classes = 5\n'
    assert (out / 'gestures.new.py').read_text() == 'mine = 2\n'
    assert (out / 'gestures.new2.py').read_bytes() == before['gestures.py']
    assert len([*out.glob('*.py')]) == 3
    (out / 'gestures.py').write_bytes(before['gestures.py'])


def test_lists_that_it_did_not_write_are_not_lost(tmp_path, folder, root):
    (tmp_path / 'test.txt').write_text('mine\n')
    with pytest.raises(ValueError, match=r'test.txt is there, .* give another folder to write to'):
        list(prepare_own(folder, tmp_path, root / 'configs', workers=1))
    assert [path.name for path in tmp_path.iterdir()] == ['test.txt']


def clips(count: int, per_group: int = 1, split: str | None = None) -> list[OwnClip]:
    return [
        OwnClip(f'{"ab"[i % 2]}/{split}{i:03}.mp4', 'ab'[i % 2], f'{i // per_group}', split)
        for i in range(count)
    ]


def good(clips: list[OwnClip]) -> dict[str, Description]:
    return {c.path: Description(20, 25.0, 48, 64, 'h264', '', c.path) for c in clips}


def test_a_share_of_each_class_is_taken_whatever_the_order():
    taken = take_aside(clips(100), 0.2, seed=0)
    assert Counter(path[0] for path in taken) == {'a': 10, 'b': 10}
    assert taken == take_aside(clips(100)[::-1], 0.2, seed=0)
    assert taken != take_aside(clips(100), 0.2, seed=1)


def test_the_last_group_of_a_class_stays_in_training():
    every = [*clips(40), OwnClip('c/1', 'c', 'x'), OwnClip('c/2', 'c', 'x')]
    assert not {'c/1', 'c/2'} & take_aside(every, 0.5, seed=0)


def test_a_group_on_both_given_sides_leaves_training(tmp_path):
    train, val = clips(20, 4, 'train'), clips(6, 4, 'val')
    found = good([*train, *val])
    result = sort_clips(tmp_path, [*train, *val], found, dict(val=0.2, test=0), seed=0)
    assert len(result.of('val')) == 6 and len(result.of('train')) == 12
    assert 'its group is in a held-out list, too: 1' in result.left_out.values()


def test_copies_keep_the_held_out_one_and_none_in_several_classes(tmp_path):
    every = [*clips(8, split='train'), *clips(4, split='test')]
    every = [clip._replace(group=None) for clip in every]
    found = good(every)
    for path in ('a/train000.mp4', 'a/test000.mp4', 'b/train001.mp4', 'a/train002.mp4'):
        (tmp_path / path).parent.mkdir(exist_ok=True)
    for pair in (('a/train000.mp4', 'a/test000.mp4'), ('b/train001.mp4', 'a/train002.mp4')):
        for path in pair:
            (tmp_path / path).write_text(pair[0])
            found[path] = found[path]._replace(digest=pair[0])
    result = sort_clips(tmp_path, every, found, dict(val=0, test=0), seed=0)
    assert result.left_out.pop('a/train000.mp4') == 'the same content as a/test000.mp4'
    several = 'the same content in several classes: a, b'
    assert result.left_out == {'b/train001.mp4': several, 'a/train002.mp4': several}


def test_equal_beginnings_alone_are_no_copies(tmp_path):
    every = clips(8)
    found = {path: d._replace(digest='same') for path, d in good(every).items()}
    for clip in every:
        (tmp_path / clip.path).parent.mkdir(exist_ok=True)
        (tmp_path / clip.path).write_text(clip.path)
    assert not sort_clips(tmp_path, every, found, dict(val=0, test=0), seed=0).left_out


def test_folders_of_splits_in_any_letter_case(tmp_path):
    for path in ('Train/a/1.MP4', 'Train/b/x/2.mp4', 'VALID/a/3.Mov', 'testing/b/4.mkv'):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b'')
    found, others = find_clips(tmp_path)
    assert [(c.label, c.split) for c in found] == [
        ('a', 'train'), ('b', 'train'), ('a', 'val'), ('b', 'test'),
    ]  # fmt: skip
    assert not others


def touch(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b'')
    return folder


@pytest.mark.parametrize(
    'paths, what',
    [
        (['train/a/1.mp4', 'val/a/2.mp4', 'extra/a/3.mp4'], 'train, val would be .* extra is no'),
        (['test/a/1.mp4', 'x/2.mp4', 'y/3.mp4'], 'test would be classes, since x, y are no split'),
        (['train_set/a/1.mp4', 'Val2/a/2.mp4'], 'Val2, train_set would be .* are no split; splits'),
    ],
)
def test_splits_beside_other_folders_are_no_classes(tmp_path, paths, what):
    with pytest.raises(ValueError, match=what):
        find_clips(touch(tmp_path, *paths))


def test_a_class_may_be_called_train(tmp_path):
    found, _ = find_clips(touch(tmp_path, 'bus/1.mp4', 'train/2.mp4', 'trainer/x/3.mp4'))
    assert [(c.label, c.split) for c in found] == [
        ('bus', None), ('train', None), ('trainer', None),
    ]  # fmt: skip


def test_a_table_with_a_byte_order_mark_groups_and_splits(tmp_path):
    table = tmp_path / 'clips.csv'
    table.write_text('\ufeffFile;Action;Person;Set\na b/1.mp4;jump;p1;Training\n', 'utf-8')
    assert read_table(table) == [OwnClip('a b/1.mp4', 'jump', 'p1', 'train')]
    table.write_text('what\twhere\njump\tx.mp4\n')
    assert read_table(table, {'path': 'where', 'class': 'what'}) == [OwnClip('x.mp4', 'jump')]


@pytest.mark.parametrize(
    'text, line, what',
    [
        ('', 1, 'the table holds no clip'),
        ('path,class\n', 1, 'the table holds no clip'),
        ('path,kind\nx,y\n', 1, 'no column for the class'),
        ('path,class\nx.mp4\n', 2, '1 values, fewer than the header has'),
        ('path,class\nx.mp4, \n', 2, 'the class is empty'),
        ('path,class\nx.mp4,run, fast\n', 2, '3 values, more than the header has; put one'),
        ('path,class,split\nx.mp4,a,later\n', 2, "train, val, test, got 'later'"),
        ('path,class\n"x.mp4,a\n', 2, 'unexpected end of data'),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(tmp_path, text, line, what):
    table = tmp_path / 'clips.csv'
    table.write_text(text)
    with pytest.raises(AnnotationError, match=f'^{re.escape(str(table))}:{line}: .*{what}'):
        read_table(table)


def test_split_lists_as_benchmarks_publish_them(tmp_path):
    lists = {'train': tmp_path / 'train.txt', 'test': tmp_path / 'test.txt'}
    lists['train'].write_text('a/with space.mp4 0\n')
    lists['test'].write_text('b/2.mp4\n')
    every = [OwnClip('a/with space.mp4', 'a'), OwnClip('b/2.mp4', 'b'), OwnClip('b/3.mp4', 'b')]
    assert [clip.split for clip in with_splits(every, lists)] == ['train', 'test']
    lists['test'].write_text('b/2.mp4 1\na/with space.mp4\n')
    with pytest.raises(AnnotationError, match='test.txt:2: a/with space.mp4 is in train, too'):
        with_splits(every, lists)
    lists['test'].write_text('b/9.mp4 1\n')
    with pytest.raises(AnnotationError, match="test.txt:1: no clip 'b/9.mp4' was found"):
        with_splits(every, lists)


@pytest.mark.parametrize(
    'how, what',
    [
        (dict(source='nothing'), 'no such folder or table'),
        (dict(source='one'), 'clips of 2 classes or more are needed'),
        (dict(source='flat'), 'no video in a folder of its own class'),
        (dict(shares=dict(val=1.0)), '--val: expected a share'),
        (dict(shares=dict(val=0.5, test=0.5)), 'leave none'),
        (dict(group_pattern='(p'), 'is no regular expression'),
        (dict(group_pattern='q+_'), 'matches no path, such as'),
        (dict(split_lists=dict(trian=Path('x'))), '--split-lists: expected train, val, test, got'),
        (dict(workers=0), '--workers must be 1 or more, got 0'),
        (dict(columns=dict(path='x')), '--root, --columns and --multi-label are for tables'),
    ],
)
def test_one_sentence(tmp_path, folder, root, how, what):
    for path in ('one/a/1.mp4', 'flat/1.mp4'):
        (tmp_path / path).parent.mkdir(parents=True)
        write(tmp_path / path, frames=2)
    source = tmp_path / how.pop('source') if 'source' in how else folder
    with pytest.raises((ValueError, FileNotFoundError), match=what):
        list(prepare_own(source, tmp_path / 'out', root / 'configs', **dict(workers=1) | how))


def test_a_tables_clip_outside_of_its_root_is_refused(tmp_path, root):
    (tmp_path / 'clips.csv').write_text('path,class\n../x.mp4,a\n')
    with pytest.raises(ValueError, match=r"'\.\./x\.mp4' is not in .*; give --root"):
        list(prepare_own(tmp_path / 'clips.csv', tmp_path / 'out', root / 'configs'))


@pytest.mark.parametrize('several', [False, True])
@pytest.mark.parametrize('what, values', [('split', 'train test'), ('group', 'anna berta')])
def test_rows_of_one_clip_that_disagree_are_refused(tmp_path, root, several, what, values):
    table, (one, other) = tmp_path / 'clips.csv', values.split()
    table.write_text(f'path,class,{what}\nx.mp4,a,{one}\ny.mp4,b,\n./x.mp4,a,{other}\n')
    prepared = prepare_own(table, tmp_path / 'out', root / 'configs', several=several)
    with pytest.raises(ValueError, match=f'clips.csv: x.mp4 has two {what}s, {one} and {other}'):
        list(prepared)
    rows = [OwnClip('x.mp4', 'a'), OwnClip('x.mp4', 'b', **{what: one})]
    assert _by_path(rows, table) == {'x.mp4': OwnClip('x.mp4', 'a', **{what: one}, more=('b',))}


@pytest.mark.parametrize('several', [False, True])
def test_cells_of_several_classes_are_said_to_be_one_class_each(tmp_path, root, several):
    rows = [(f'{label}{i}.mp4', label) for label in ('run|jump', 'sit;lie', 'walk') for i in '012']
    (tmp_path / 'clips.csv').write_text(
        'path,class\n' + ''.join(f'{i}.mp4,{label}\n' for i, (_, label) in enumerate(rows))
    )
    for i in range(len(rows)):
        write(tmp_path / f'{i}.mp4', frames=2, turn=lambda x, i=i: x // 2 + 2 * i)
    said = list(
        prepare_own(
            tmp_path / 'clips.csv', tmp_path / 'out', root / 'configs', several=several, workers=1
        )
    )
    sentence = 'class cells hold | or ;, and each counts as one class, such as run|jump, sit;lie; '
    assert ('2 ' + sentence in '\n'.join(said)) is not several


def described(frames: int, fps: float = 30.0, side: int = 240) -> Description:
    return Description(frames, fps, side, 2 * side, 'h264', '', '')


def test_settings_follow_the_clips():
    short = choose([described(60)] * 400, ['a', 'b'], 'small')
    assert (short.clip_len, short.span, short.size, short.flip) == (16, 0, 224, True)
    assert (short.batch_size, short.max_epochs, short.lr) == (8, 30, 5e-5)
    long = choose([described(3000, side=128)] * 20, ['turn left', 'turn right'], 'small')
    assert (long.span, long.size, long.flip, long.batch_size) == (64, 128, False, 2)
    assert choose([described(10)] * 20, ['leftover', 'a'], 'small').clip_len == 8
    assert choose([described(10)] * 20, ['leftover', 'a'], 'tiny').flip


@pytest.mark.parametrize(
    'name',
    'TurnLeft SwipeRight leftHand LEFTHand turn_right leftwards rightward leftmost ClockWise '
    'counter-clockwise AntiClockwise rotate_ccw'.split(),
)
def test_directions_are_not_mirrored(name):
    chosen = choose([described(10)] * 20, ['a', name], 'tiny')
    assert not chosen.flip and chosen.why['flip'] == f'No Flip: {name!r} would be another class.'


def test_twins_are_not_mirrored_and_other_words_are():
    assert not choose([described(10)] * 20, ['swiperight', 'swipeleft'], 'tiny').flip
    others = 'leftover bright Leftovers upright Copyright cleft clock swiperight'.split()
    assert choose([described(10)] * 20, others, 'tiny').flip


def test_more_classes_get_more_steps_from_scratch():
    clips = [described(16)] * 800
    epochs = [choose(clips, [str(i) for i in range(n)], 'tiny').max_epochs for n in (2, 3, 6, 90)]
    assert epochs == [10, 10, 15, 25]  # of 100 steps
    assert choose(clips, [str(i) for i in range(90)], 'small').max_epochs == 15


@pytest.mark.parametrize('frames', [60, 3000])
def test_the_config_of_the_fine_tuned_network_is_whole(tmp_path, root, frames):
    from mmaction_emim.datasets.prepare.own.config import config_text

    settings = choose([described(frames)] * 40, list('abcdef'), 'small')
    held_out = ('val.txt', 'test.txt')
    text = config_text('x', str(root / 'configs'), 'd', '/v', 6, settings, 'small', held_out)
    (tmp_path / 'x.py').write_text(text)
    cfg = Config.fromfile(tmp_path / 'x.py')
    assert cfg.model.backbone.init_cfg.checkpoint.startswith('https://')
    assert cfg.model.cls_head.num_classes == cfg.test_dataloader.dataset.num_classes == 6
    kind = 'UniformSample' if frames == 60 else 'SampleSpan'
    assert cfg.test_dataloader.dataset.pipeline[1].type == kind
    assert cfg.test_dataloader.dataset.pipeline[1].get('num_clips', 1) == (1 if frames == 60 else 4)

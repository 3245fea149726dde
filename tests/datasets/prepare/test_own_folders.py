"""What lies in the folder of anybody's clips, and where the config is written to."""

import pytest
from mmengine.config import Config

from mmaction_emim.datasets.prepare.own import prepare_own
from mmaction_emim.datasets.prepare.own.clips import find_clips
from mmaction_emim.datasets.prepare.own.prepare import _seen_from


def test_a_config_behind_a_link_finds_its_base_files(tmp_path, root):
    """As where ``data`` is a link to a larger disk: MMEngine takes ``..`` away from the text."""
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'a' / 'b' / 'c').mkdir(parents=True)
    (tmp_path / 'a' / 'b' / 'c' / 'data').symlink_to(tmp_path / 'disk')
    behind, plain = tmp_path / 'a' / 'b' / 'c' / 'data' / 'own', tmp_path / 'plain'
    assert _seen_from(behind, root / 'configs') == (root / 'configs').as_posix()
    assert _seen_from(plain, root / 'configs').startswith('../')
    for out in (behind, plain):
        out.mkdir()
        base = f'{_seen_from(out, root / "configs")}/_base_/schedules/adamw.py'
        (out / 'own.py').write_text(f'_base_ = {base!r}\n')
        assert 'optim_wrapper' in Config.fromfile(out / 'own.py')


def test_folders_below_those_of_the_classes_are_said(tmp_path, root):
    for path in ('run/p1/1.mp4', 'run/p2/2.mp4', 'sit/p1/3.mp4', 'sit/p2/4.mp4'):
        (tmp_path / 'own' / path).parent.mkdir(parents=True)
        (tmp_path / 'own' / path).touch()
    pattern = '^[^/]+/([^/]+)/'
    for options, is_said in ((dict(), True), (dict(group_pattern=pattern), False)):
        prepared = prepare_own(tmp_path / 'own', tmp_path / 'out', root / 'configs', **options)
        said = next(prepared) if is_said else ''
        assert is_said == (
            f"here run; where the next one is a person or a scene, --group-pattern '{pattern}'"
            in said
        )
        if not is_said:
            with pytest.raises(ValueError, match=r"0 are left: 4 empty; such as 'run/p1/1.mp4'"):
                list(prepared)


def test_folders_without_a_clip_are_said(tmp_path):
    for path in ('run/1.mp4', 'sit/2.mp4'):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).touch()
    (tmp_path / 'walk').mkdir()
    (tmp_path / 'walk' / '.DS_Store').touch()
    found, others = find_clips(tmp_path)
    assert [clip.path for clip in found] == ['run/1.mp4', 'sit/2.mp4'] and others == ['walk/']


def test_spaces_around_a_classs_name_are_not_of_it(tmp_path):
    for name in ('run', 'run ', 'sit'):
        (tmp_path / name).mkdir()
        (tmp_path / name / '1.mp4').touch()
    assert [clip.label for clip in find_clips(tmp_path)[0]] == ['run', 'run', 'sit']

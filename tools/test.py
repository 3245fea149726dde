"""Test a recognizer. The arguments are those of MMAction2's tools/test.py."""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
from pathlib import Path

from mmengine.runner import Runner

from mmaction_emim.engine.job import connect
from mmaction_emim.engine.safety_hooks import add_safety_hooks
from mmaction_emim.evaluation.plain_pickle import read_pickles_as_data
from mmaction_emim.evaluation.protocol import check_views, describe_test
from mmaction_emim.utils.checkpoint_damage import check_whole
from mmaction_emim.utils.command_line import check_overrides, load_upstream_tool, run
from mmaction_emim.utils.config_names import read_config


def main() -> None:
    upstream = load_upstream_tool('test')
    args = upstream.parse_args()
    cfg = read_config(args.config)
    args.cfg_options = check_overrides(cfg, args.cfg_options)
    read_pickles_as_data()
    cfg = upstream.merge_args(cfg, args)
    cfg.launcher = args.launcher
    cfg.merge_from_dict(args.cfg_options)
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    check_views(cfg)
    added = add_safety_hooks(cfg)
    check_whole(args.checkpoint)
    cfg.load_from = args.checkpoint
    connect(cfg)
    runner = Runner.from_cfg(cfg)
    for sentence in (*added, describe_test(cfg)):
        runner.logger.info(sentence)
    runner.test()


if __name__ == '__main__':
    run(main)

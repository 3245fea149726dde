"""Train a recognizer. The arguments are those of MMAction2's tools/train.py."""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
from mmaction.registry import RUNNERS
from mmengine.runner import Runner

from mmaction_emim.engine.job import training_job
from mmaction_emim.engine.safety_hooks import add_safety_hooks
from mmaction_emim.evaluation.plain_pickle import read_pickles_as_data
from mmaction_emim.utils.command_line import check_overrides, load_upstream_tool, run
from mmaction_emim.utils.config_checks import check_config
from mmaction_emim.utils.config_names import read_config


def main() -> None:
    upstream = load_upstream_tool('train')
    args = upstream.parse_args()
    cfg = read_config(args.config)
    args.cfg_options = check_overrides(cfg, args.cfg_options)
    read_pickles_as_data()
    if args.seed is not None:
        cfg.pop('randomness', None)  # upstream would ignore --seed where the config has this key
    cfg = upstream.merge_args(cfg, args)
    added = add_safety_hooks(cfg)
    check_config(cfg)
    with training_job(cfg) as passed_over:
        # Strategies, FSDP's among them, need MMEngine's FlexibleRunner.
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
        for sentence in passed_over:
            runner.logger.warning(sentence)
        for sentence in added:
            runner.logger.info(sentence)
        runner.train()


if __name__ == '__main__':
    run(main)

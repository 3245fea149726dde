"""``load_from`` takes checkpoints of others as they are, and says how much of them fits."""

import logging
from dataclasses import replace

from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmaction_emim.models.weights.fit import LoadedWeights, check_any, fit_checkpoint, network_of
from mmaction_emim.models.weights.load_report import LoadReport


@HOOKS.register_module(name=['AuthorsCheckpointHook', 'ForeignCheckpointHook'])
class AuthorsCheckpointHook(Hook):
    """Gives a checkpoint's weights the network's names before they are loaded; counts the loaded.

    Those of EMIM's and UniFormer's authors, weights that are wrapped or have a foreign prefix, and
    those for the backbone alone (:func:`.fit_checkpoint`). Their head of another number of classes
    is dropped. Other checkpoints pass untouched. Before the run the log says how many of the
    network's weights are from the checkpoint, which head starts anew, and what became of every key
    (:class:`.LoadReport`); those that are used by name are in the log file alone. Where not all
    weights are, their share is said once more after a test.
    ``ForeignCheckpointHook`` is its former name.

    Raises:
        ValueError: From the hook, no weight fits: the network would be a random one.
    """

    counted: LoadedWeights | None = None
    reported = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        network = network_of(runner.model)
        inner = checkpoint.get('state_dict')
        named = set(inner if isinstance(inner, dict) else checkpoint)
        try:
            dropped = fit_checkpoint(checkpoint, network)
        except ValueError as error:
            path = runner.cfg.get('load_from') or 'checkpoint'
            raise ValueError(f'{path}: {error}') from error
        given = checkpoint.get('state_dict', checkpoint)
        self.counted = LoadedWeights(network, given, given.keys() - named, dropped)
        self.reported = False

    def before_train(self, runner: Runner) -> None:
        self._report(runner)

    def before_val(self, runner: Runner) -> None:
        self._report(runner)

    def before_test(self, runner: Runner) -> None:
        self._report(runner)

    def after_test(self, runner: Runner) -> None:
        share = self.counted and self.counted.share
        if share and share.loaded < share.all:
            # MMEngine's log leaves out a warning that it had.
            runner.logger.warning(f'tested after load_from: {share}')

    def _report(self, runner: Runner) -> None:
        share = self.counted and self.counted.share
        if share and not self.reported:
            check_any(share)
            level = logging.INFO if share.loaded == share.all else logging.WARNING
            runner.logger.log(level, f'load_from: {share}')
            for head in self.counted.report.heads:
                runner.logger.info(f'load_from: head: {head}, starts anew')
            if (report := replace(self.counted.report, used=[])) != LoadReport('load_from'):
                runner.logger.info(str(report))
            if used := self.counted.report.used:
                # In the file alone, as compat/screen.py says.
                keys = ''.join(f'\n    {key}' for key in used)
                runner.logger.info(f'load_from used ({len(used)}): loaded by name{keys}')
            self.reported = True

"""Training: parameter groups and hooks, registered in MMAction2's registries."""

from .failed_clips_hook import FailedClipsHook

__all__ = ['FailedClipsHook']

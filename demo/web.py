"""A page in the browser that says what a network sees in a clip.

    pip install -c constraints.txt -e '.[demo]'
    python demo/web.py                                               # the network of demo/
    python demo/web.py --model mine emim_sthv2 epoch_50.pth          # another; several times

It listens on this computer alone and asks nothing of any other.
"""

import mmaction_emim  # noqa: F401  closes upstream's gaps before anything of it is imported

# isort: split
import argparse
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from mmengine.logging import MMLogger

from mmaction_emim.apis import MotionInferencer, MotionStream
from mmaction_emim.apis.clips import Clip
from mmaction_emim.datasets.reader import VideoReader
from mmaction_emim.datasets.stream_source import StreamSource
from mmaction_emim.evaluation.protocol import frame_size
from mmaction_emim.models.motion import EMIMAttention
from mmaction_emim.utils.command_line import explain, run
from mmaction_emim.visualization import (
    input_frames,
    motion_field_clip,
    record_motion_fields,
    write_pictures,
)
from mmaction_emim.visualization.timeline import TimelineRecord, draw_timeline

HERE = Path(__file__).resolve().parent
CLIPS, CONFIG, CHECKPOINT = HERE / 'clips', 'emim_motionshapes', HERE / 'emim_motionshapes.pth'
MEGABYTES, SECONDS, SIDES = 50, 120.0, (2160, 3840)
MIB = 2**20  # what gradio calls a megabyte
FPS = 25.0  # where a clip does not say its own
TIMELINE_SIDE = 480  # pixels of the short side of a timeline's frames, at most
SIDE = 128  # the same of frames whose size the config leaves to the clip


class Answer(NamedTuple):
    """What the page shows: a sentence, probabilities by name, a video's path, a picture."""

    message: str
    bars: dict[str, float] | None = None
    motion: str | None = None
    timeline: np.ndarray | None = None


class Page:
    """The answers of one or several networks, and the limits of what they take.

    Args:
        models: Config and checkpoint by the name in the list.
        folder: Where uploads and videos lie.
        megabytes: Of a file, at most.
        seconds: Of a clip, at most.
        device: Default None: a GPU where there is one.
    """

    def __init__(
        self,
        models: dict[str, tuple[str, str | Path]],
        folder: Path,
        megabytes: float = MEGABYTES,
        seconds: float = SECONDS,
        device: str | None = None,
    ) -> None:
        self.models, self.folder = models, folder
        self.megabytes, self.seconds, self.device = megabytes, seconds, device
        self.samples = {path.name: path for path in sorted(CLIPS.iterdir())}
        self._loaded: dict[str, MotionInferencer] = {}

    def inferencer(self, model: str) -> MotionInferencer:
        if model not in self._loaded:
            self._loaded[model] = MotionInferencer(
                *self.models[model], self.device, show_progress=False
            )
        return self._loaded[model]

    def answer(self, path: Path, name: str, model: str) -> Answer:
        """What the network says of a file; of one that it cannot read, why."""
        try:
            return self._answer(path, name, model)
        except Exception as error:  # of any class, as files are anybody's
            return Answer(plain(explain(error), path, name))

    def _answer(self, path: Path, name: str, model: str) -> Answer:
        size = path.stat().st_size
        if size > self.megabytes * MIB:
            raise ValueError(f'{name}: {size / MIB:.0f} MB, and {self.megabytes:g} MB are the most')
        if not size:
            raise ValueError(f'{name}: the file is empty')
        reader = VideoReader(path, name=name)
        if not len(reader):
            raise ValueError(f'{name}: the clip has no frames')
        fps = reader.get_avg_fps() or FPS
        if len(reader) / fps > self.seconds:
            raise ValueError(
                f'{name}: lasts {len(reader) / fps:.0f} seconds, and {self.seconds:g} are the most'
            )
        sides = sorted(reader.get_batch([0]).shape[1:3])
        if any(side > most for side, most in zip(sides, SIDES, strict=True)):
            raise ValueError(
                f'{name}: frames of {sides[1]} x {sides[0]} pixels, and {SIDES[1]} x {SIDES[0]} '
                'are the most'
            )
        inferencer = self.inferencer(model)
        clip, side = Clip(name, path), None
        if frame_size(inferencer.cfg) is None and sides[0] > SIDE:  # else minutes, and gigabytes
            side, small = SIDE, VideoReader(path, SIDE, name)
            clip = small.get_batch(range(len(small))).asnumpy()
        views = inferencer.load(clip)
        with self._motion(inferencer) as fields:
            (scores,) = inferencer.view_scores([views])
        prediction = inferencer.predict(name, scores)
        message = f'{name}: {prediction.name}, {prediction.probability:.0%}'
        if side:
            message += f' (scaled to {side} pixels, since the config names no size)'
        if not fields:
            message += ' (the network has no EMIM layer: no motion field)'
        return Answer(
            message,
            {guess.name: guess.probability for guess in prediction.top},
            self._write(views, next(iter(fields.values()))) if fields else None,
            self._timeline(inferencer, path, side, len(reader), fps),
        )

    @contextmanager
    def _motion(self, inferencer: MotionInferencer) -> Iterator[dict]:
        if any(isinstance(module, EMIMAttention) for module in inferencer.model.modules()):
            with record_motion_fields(inferencer.model) as fields:
                yield fields
        else:
            yield {}

    def _write(self, views: Any, field: Any) -> str:
        (first, *_) = input_frames(views, len(field.confidence))
        pictures = motion_field_clip(first, type(field)(*(x[0] for x in field)))
        path = self.folder / f'motion-{os.urandom(8).hex()}.mp4'
        write_pictures(pictures, path)
        return str(path)

    def _timeline(
        self, inferencer: MotionInferencer, path: Path, side: int | None, frames: int, fps: float
    ) -> np.ndarray | None:
        stream = MotionStream(inferencer)
        if frames < 2 * stream.span(fps):
            return None
        record = TimelineRecord()
        for window in stream(StreamSource(path, side or TIMELINE_SIDE)):
            record.add(window.start, window.end, window.smoothed)
        return draw_timeline(*record.read(), inferencer.names)


def plain(sentence: str, path: Path, name: str) -> str:
    """The sentence without this computer's paths and FFmpeg's words."""
    sentence = sentence.replace(str(path), name)
    invalid = ': cannot be read: Invalid data found when processing input'
    return sentence.replace(invalid, ' is no video, or a damaged one')


def take(upload: Path) -> tuple[str, bytes] | None:
    """Name and content of an upload, which is deleted; None where another window has taken it."""
    try:
        taken = upload.name, upload.read_bytes()
        upload.unlink()
        upload.parent.rmdir()  # of this content alone
    except FileNotFoundError:
        return None
    return taken


def build(page: Page) -> Any:
    """The page's ``gradio.Blocks``."""
    import gradio as gr

    def predict(
        video: str | None, sample: str | None, model: str, last: tuple | None
    ) -> tuple[Answer, tuple | None]:
        if video:
            last = take(Path(video))
        elif sample:
            last = (sample, page.samples[sample].read_bytes())
        if last is None:
            return Answer('Choose a clip first: drop one, record one or pick a sample.'), None
        name, data = last
        with TemporaryDirectory(dir=page.folder) as folder:
            path = Path(folder, f'clip{Path(name).suffix}')
            path.write_bytes(data)
            return page.answer(path, name, model), last

    def shown(*given: Any) -> tuple:
        answer, last = predict(*given)
        timeline = gr.update(value=answer.timeline, visible=answer.timeline is not None)
        return answer.message, answer.bars, answer.motion, timeline, None, last

    models, samples = list(page.models), list(page.samples)
    with gr.Blocks(
        title='mmaction_emim', analytics_enabled=False, delete_cache=(60, 600)
    ) as blocks:
        gr.Markdown(
            '# What moves here?\n'
            f'A clip of up to {page.seconds:g} seconds and {page.megabytes:g} MB. It stays on this '
            'computer, and its file is deleted once it is answered; *Predict* again asks another '
            'model about the same clip.'
        )
        last = gr.State(None, time_to_live=600)
        with gr.Row():
            with gr.Column():
                video = gr.Video(
                    label='Your clip',
                    sources=['upload', 'webcam'],
                    webcam_options=gr.WebcamOptions(mirror=False),  # left is left
                    height=280,
                    elem_id='clip',
                )
                sample = gr.Radio(samples, label='Or a sample', elem_id='sample')
                model = gr.Dropdown(models, value=models[0], label='Model', elem_id='model')
                button = gr.Button('Predict', variant='primary', elem_id='predict')
            with gr.Column():
                message = gr.Textbox(label='Answer', lines=2, interactive=False, elem_id='answer')
                bars = gr.Label(label='Most probable', num_top_classes=5, elem_id='bars')
                gr.Markdown('Where the network sees each place go, from frame to frame:')
                motion = gr.Video(
                    label='Motion field',
                    show_label=False,
                    interactive=False,
                    autoplay=True,
                    loop=True,
                    elem_id='motion',
                )
        timeline = gr.Image(label='Over time', interactive=False, visible=False, elem_id='timeline')
        private = dict(api_visibility='private', show_progress='minimal')
        video.input(lambda: None, None, sample, **private)
        sample.input(lambda: None, None, video, **private)
        button.click(
            shown,
            [video, sample, model, last],
            [message, bars, motion, timeline, video, last],
            concurrency_limit=1,
            **private,
        )
    return blocks


def launch(page: Page, port: int | None = None, wait: bool = True) -> str:
    """Serve the page on this computer alone; returns its address where it does not wait."""
    import gradio as gr

    fonts = dict(font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace'])
    _, address, _ = build(page).launch(
        server_name='127.0.0.1',
        server_port=port,
        share=False,
        inbrowser=False,
        max_file_size=round(page.megabytes * MIB),
        theme=gr.themes.Default(**fonts),
        footer_links=[],
        ssr_mode=False,
        enable_monitoring=False,
        prevent_thread_lock=not wait,
        quiet=not wait,
    )
    return address


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--model',
        nargs=3,
        action='append',
        metavar=('NAME', 'CONFIG', 'CHECKPOINT'),
        help="a choice in the list; default: demo/'s network",
    )
    parser.add_argument('--port', type=int, help='default: the first that is free from 7860')
    parser.add_argument('--megabytes', type=float, default=MEGABYTES, help='of a file, at most')
    parser.add_argument('--seconds', type=float, default=SECONDS, help='of a clip, at most')
    parser.add_argument('--device', help='default: a GPU where there is one')
    args = parser.parse_args()
    models = {name: (config, checkpoint) for name, config, checkpoint in args.model or ()}
    models = models or {'MotionShapes': (CONFIG, CHECKPOINT)}
    MMLogger.get_instance('web', log_level='WARNING')
    # Terminated as by Ctrl-C, so that the folder goes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with TemporaryDirectory(prefix='mmaction-emim-') as folder:
        # Read by gradio when it is imported and when the page is built.
        os.environ.update(
            GRADIO_TEMP_DIR=folder, GRADIO_ANALYTICS_ENABLED='False', HF_HUB_OFFLINE='1'
        )
        page = Page(models, Path(folder), args.megabytes, args.seconds, args.device)
        page.inferencer(next(iter(models)))  # what is wrong with it is said now
        launch(page, args.port)


if __name__ == '__main__':
    run(main)

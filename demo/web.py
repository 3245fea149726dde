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
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmengine.logging import MMLogger

from mmaction_emim.apis.page import MEGABYTES, MIB, SECONDS, SHORT_SIDE, Answer, Page
from mmaction_emim.utils.command_line import run

HERE = Path(__file__).resolve().parent
SAMPLES = {path.name: path for path in sorted((HERE / 'clips').iterdir())}
CONFIG, CHECKPOINT = 'emim_motionshapes', HERE / 'emim_motionshapes.pth'


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
            last = (sample, SAMPLES[sample].read_bytes())
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

    models, samples = list(page.models), list(SAMPLES)
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
    parser.add_argument(
        '--short-side',
        type=int,
        default=SHORT_SIDE,
        help='pixels, at most, where the config names no size; default: %(default)s',
    )
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
        page = Page(
            models, Path(folder), args.megabytes, args.seconds, args.device, args.short_side
        )
        page.inferencer(next(iter(models)))  # what is wrong with it is said now
        launch(page, args.port)


if __name__ == '__main__':
    run(main)

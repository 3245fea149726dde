"""The page of demo/web.py in a real Chromium, which must not talk to any other computer.

What it says of files is tested without them in tests/apis/test_page.py.
"""

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import wave
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from mmaction_emim.datasets.motion_shapes import CLASSES

from ..datasets.numbered_clips import write
from ..ports import free_port
from ..same_scores import same_scores

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
MISSING = [name for name in ('gradio', 'playwright') if importlib.util.find_spec(name) is None]
MISSING += [] if CHROMIUM else ['chromium']
pytestmark = [
    pytest.mark.extras,
    pytest.mark.skipif(
        bool(MISSING),
        reason=f'{", ".join(MISSING)} missing: see docs/web.md',
    ),
]
SECONDS, MEGABYTES = 8, 1


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5)
    except OSError:
        return False
    return True


@pytest.fixture(scope='module')
def truth(call, motion_shapes, tmp_path_factory):
    return same_scores(call, motion_shapes, tmp_path_factory.mktemp('same'))


@pytest.fixture(scope='module')
def server(root, truth, tmp_path_factory):
    """Address and folder of uploads of a server of its own."""
    port = int(free_port())
    folder = tmp_path_factory.mktemp('uploads')
    limits = ['--seconds', str(SECONDS), '--megabytes', str(MEGABYTES)]
    models = [
        ('MotionShapes', 'emim_motionshapes', 'demo/emim_motionshapes.pth'),
        ('tested', str(truth.config), str(truth.checkpoint)),
    ]
    models = [word for model in models for word in ('--model', *model)]
    command = [sys.executable, 'demo/web.py', '--port', str(port), *limits, *models]
    process = subprocess.Popen(command, cwd=root, env=os.environ | {'TMPDIR': str(folder)})
    address = f'http://127.0.0.1:{port}'
    try:
        end = time.monotonic() + 600
        while not answers(address):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.3)
        yield address, folder, port
    finally:
        process.terminate()
        assert process.wait(180) == 0
        assert files(folder) == []


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    """With a camera that shows a clip again and again, and that it may use."""
    from playwright.sync_api import sync_playwright

    camera = tmp_path_factory.mktemp('camera') / 'clip.mjpeg'
    write(camera, codec='mjpeg', pix_fmt='yuvj420p', size=(320, 240))
    arguments = [
        '--no-sandbox',  # it needs rights that containers lack
        '--use-fake-ui-for-media-stream',
        '--use-fake-device-for-media-stream',
        f'--use-file-for-fake-video-capture={camera}',
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, server):
    page = browser.new_page(viewport=dict(width=1200, height=900))
    page.set_default_timeout(120_000)
    asked = []
    page.on('request', lambda request: asked.append(request.url))
    page.goto(server[0])
    page.get_by_role('button', name='Predict').wait_for()
    yield page
    page.close()
    assert asked
    elsewhere = [url for url in asked if not url.startswith((server[0], 'data:', 'blob:'))]
    assert elsewhere == []


def upload(page, path: Path) -> None:
    page.locator('#clip input[type=file]').set_input_files(path)
    page.locator('#clip video, #clip [aria-label="Clear"]').first.wait_for()


def answer(page, begins: str, seconds: float = 120) -> str:
    page.wait_for_function(
        'text => document.querySelector("#answer textarea").value.startsWith(text)',
        arg=begins,
        timeout=1000 * seconds,
    )
    return page.locator('#answer textarea').input_value()


def ask(page, begins: str) -> str:
    """The answer to an upload that no browser can show: nothing tells when it is there."""
    from playwright.sync_api import TimeoutError

    for _ in range(30):
        page.get_by_role('button', name='Predict').click()
        with suppress(TimeoutError):
            return answer(page, begins, 10)
    raise TimeoutError(page.locator('#answer textarea').input_value())


def files(folder: Path) -> list[str]:
    return [name for _, _, names in os.walk(folder) for name in names]  # folders may vanish


def motion_plays(page) -> bool:
    page.wait_for_function('document.querySelector("#motion video")?.readyState >= 2')
    return page.locator('#motion video').evaluate('video => video.videoWidth') > 300


def test_an_upload_is_answered_and_deleted(page, server, root, tmp_path):
    clip = tmp_path / 'my clip.mp4'
    shutil.copy(next((root / 'demo' / 'clips').glob('clockwise*')), clip)
    upload(page, clip)
    page.get_by_role('button', name='Predict').click()
    assert re.match(r'my.clip\.mp4: \w+, \d+%$', answer(page, 'my'))
    page.locator('#bars .confidence-set, #bars button').nth(4).wait_for()
    assert motion_plays(page)
    assert not page.locator('#timeline').is_visible()
    assert not [name for name in files(server[1]) if not name.startswith('motion-')]
    shown = page.locator('#motion video').get_attribute('src')
    page.get_by_role('button', name='Predict').click()  # again: from memory
    page.wait_for_function(
        'src => ![null, undefined, src].includes('
        'document.querySelector("#motion video")?.getAttribute("src"))',
        arg=shown,
    )
    assert answer(page, 'my').endswith('%')


def test_a_clip_longer_than_two_windows_has_a_timeline(page, tmp_path):
    write(tmp_path / 'long.mp4', frames=120)
    upload(page, tmp_path / 'long.mp4')
    page.get_by_role('button', name='Predict').click()
    answer(page, 'long.mp4: ')
    page.wait_for_function('document.querySelector("#timeline img")?.naturalWidth == 1000')


def test_twenty_clips_have_the_scores_of_the_test(page, truth, tmp_path):
    page.locator('#model input').click()
    page.get_by_role('option', name='tested').click()
    for i, (clip, scores) in enumerate(zip(truth.clips, truth.scores, strict=True)):
        mine = tmp_path / f'{i:02}{Path(clip).suffix}'
        shutil.copy(clip, mine)
        upload(page, mine)
        page.get_by_role('button', name='Predict').click()
        answer(page, f'{mine.name}: ')
        best = scores.softmax(0).topk(5)
        names, shares = [CLASSES[i] for i in best.indices], (100 * best.values).tolist()
        for _ in range(600):  # bars are drawn after the text
            text = page.locator('#bars').inner_text()
            shown = re.findall(r'(\w+)\s+(\d+)%', text)
            found = [name for name, _ in shown], [int(share) for _, share in shown]
            if found == (names, pytest.approx(shares, abs=0.51)):
                break
            page.wait_for_timeout(200)
        assert found == (names, pytest.approx(shares, abs=0.51))


def sound(path: Path) -> None:
    with wave.open(str(path), 'wb') as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))


REFUSED = {
    'text.mp4': (lambda path: path.write_text('no video\n'), 'is no video, or a damaged one'),
    'empty.mp4': (lambda path: path.write_bytes(b''), ': the file is empty'),
    'sound.mp4': (sound, ': holds no video stream that FFmpeg can decode'),
    'long.mp4': (
        lambda path: write(path, frames=250),
        ': lasts 10 seconds, and 8 are the most',
    ),
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_it_cannot_take_is_a_sentence(page, server, tmp_path, name):
    make, sentence = REFUSED[name]
    make(tmp_path / name)
    page.locator('#clip input[type=file]').set_input_files(tmp_path / name)
    assert ask(page, name) == name + (sentence if sentence[0] == ':' else f' {sentence}')
    assert page.locator('#motion video').count() == 0
    assert name not in files(server[1])


def test_a_file_that_is_too_large_is_refused_before_it_is_read(page, server, tmp_path):
    (tmp_path / 'large.mp4').write_bytes(np.random.default_rng(0).bytes(1_500_000))
    page.locator('#clip input[type=file]').set_input_files(tmp_path / 'large.mp4')
    said = page.get_by_text(re.compile('exceed', re.IGNORECASE)).first
    said.wait_for()
    assert 'large.mp4' not in files(server[1])


def test_a_recording_is_answered_and_deleted(page, server):
    page.get_by_label('Capture from camera').click()
    page.locator('#clip [title="grant webcam access"] button').click()
    page.locator('#clip [title="start recording"]').click()
    page.wait_for_timeout(3000)
    page.locator('#clip [title="stop recording"]').click()
    page.locator('#clip video[src]').wait_for()
    page.get_by_role('button', name='Predict').click()
    said = answer(page, 'sample.')
    assert re.match(r'sample\.webm: \w+, \d+% \(scaled to 64 pixels', said)
    assert motion_plays(page)
    assert 'sample.webm' not in files(server[1])


def test_with_the_keyboard_alone(page, root):
    for _ in range(40):
        page.keyboard.press('Tab')
        if page.evaluate('document.activeElement.closest("#sample") !== null'):
            break
    page.keyboard.press('Space')
    sample = page.locator('#sample input:checked')
    assert sample.count() == 1
    for _ in range(10):
        page.keyboard.press('Tab')
        if page.evaluate('document.activeElement.id') == 'predict':
            break
    page.keyboard.press('Enter')
    assert answer(page, sample.input_value()).endswith('%')
    assert motion_plays(page)


def test_without_a_clip_it_says_what_to_do(page):
    page.get_by_role('button', name='Predict').click()
    assert answer(page, 'Choose') == 'Choose a clip first: drop one, record one or pick a sample.'


def test_an_upload_takes_the_place_of_a_sample(page, tmp_path):
    page.locator('#sample input').first.check()
    write(tmp_path / 'mine.mp4', frames=20)
    upload(page, tmp_path / 'mine.mp4')
    page.wait_for_function('!document.querySelector("#sample input:checked")')


def test_it_listens_on_this_computer_alone(server):
    own = [info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    for address in {ip for ip in own if not ip.startswith('127.')}:
        with socket.socket() as outside:
            outside.settimeout(5)
            assert outside.connect_ex((address, server[2])) != 0

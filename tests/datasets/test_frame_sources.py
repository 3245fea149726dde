import cv2
import numpy as np
import pytest

from mmaction_emim.datasets.frame_sources import ArrayFrames, FolderFrames, record
from mmaction_emim.datasets.reader import VideoReader


def test_a_folder_of_images(tmp_path):
    for i in (2, 10, 1):
        cv2.imwrite(str(tmp_path / f'img_{i}.png'), np.full((6, 8, 3), (i, 0, 100), np.uint8))
    (tmp_path / 'notes.txt').touch()
    reader = FolderFrames(tmp_path)
    assert len(reader) == 3 and reader.get_avg_fps() == 0
    frames = reader.get_batch([2, 0, 2]).asnumpy()
    assert frames[..., 2].min(axis=(1, 2)).tolist() == [10, 1, 10] and frames[0, 0, 0, 0] == 100


def test_images_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match='holds no image'):
        FolderFrames(tmp_path)
    image = cv2.imencode('.jpg', np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    for name, content in (('1.jpg', image[:-9]), ('2.png', b''), ('3.webp', b'no image')):
        (tmp_path / name).write_bytes(content)
    reader = FolderFrames(tmp_path)
    for i, why in enumerate(('cut short', 'is empty', 'is no image')):
        with pytest.raises(ValueError, match=why):
            reader.get_batch([i])
    (tmp_path / '1.jpg').write_bytes(image)
    cv2.imwrite(str(tmp_path / '2.png'), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r'images differ in size \(H, W\): \[\(8, 8\), \(64, 64\)'):
        FolderFrames(tmp_path).get_batch([0, 1])


@pytest.mark.parametrize(
    'frames, message',
    [
        (np.zeros((4, 8, 8), np.uint8), r'frames must be \(T, H, W, 3\), got \(4, 8, 8\)'),
        (np.zeros((0, 8, 8, 3), np.uint8), r'got \(0, 8, 8, 3\)'),
        (np.zeros((4, 8, 8, 3)), 'frames must be uint8, 0 to 255, got float64'),
    ],
)
def test_arrays_that_are_no_frames(frames, message):
    with pytest.raises(ValueError, match=message):
        ArrayFrames(frames)


def test_an_address_is_recorded_for_some_seconds(motion_shapes):
    path = sorted((motion_shapes / 'test' / 'left').iterdir())[0]  # 24 frames, 12 a second
    recorded = record(str(path), seconds=1.0)
    assert len(recorded) == 12 and recorded.get_avg_fps() == pytest.approx(12)
    whole = VideoReader(path).get_batch(range(12)).asnumpy()
    assert np.abs(recorded.get_batch(range(12)).asnumpy() - whole.astype(int)).mean() < 1
    assert len(record(str(path), seconds=60)) == 24


def test_large_frames_of_a_stream_are_scaled_down(tmp_path):
    path = str(tmp_path / 'x.avi')
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'MJPG'), 10, (1280, 720))
    writer.write(np.zeros((720, 1280, 3), np.uint8))
    writer.release()
    assert record(path, 1).get_batch([0]).shape == (1, 480, 853, 3)


@pytest.mark.parametrize(
    'source, seconds, message',
    [
        ('rtsp://127.0.0.1:9/x', 1, 'refused'),
        (97, 1, 'camera 97: cannot be opened'),
        (0, 0, 'camera 0: seconds must be above 0, got 0'),
    ],
)
def test_sources_that_are_not_there(source, seconds, message):
    with pytest.raises((OSError, ValueError), match=message):
        record(source, seconds)

import { WebSocketBridge } from 'django-channels';

const bridge = new WebSocketBridge();
bridge.connect('/lots/?session_key=' + window.sessionKey);

// ServiceNow incidents to Streamgauge, template streamgauge.servicenow.v1.
//
// 1. System Web Services > Outbound > REST Message: make one called `Streamgauge` with a POST method called
//    `incident`, the endpoint https://streamgauge.example/v1/hooks/servicenow, and the header
//    `Authorization: Bearer <token>` from a credential.
// 2. System Definition > Business Rules: table Incident [incident], advanced, when `async`, on insert, update and
//    delete. Paste this as its script.
// 3. Streamgauge: the times below are the database's, which is UTC unless your instance says otherwise, and carry
//    no zone. State it:  [sources.servicenow]  default_time_zone = "UTC"
//
// No names of people are sent. Do not edit the body: Streamgauge refuses what it does not know by name. Fields of
// your own that name the deployment go where `optional` is called below.
(function executeRule(current, previous) {
    function optional(field) {
        return current.isValidField(field) ? current.getValue(field) || '' : '';
    }
    function display(field) {
        return current.isValidField(field) ? current.getDisplayValue(field) || '' : '';
    }
    var environment = '';
    if (current.isValidField('cmdb_ci') && current.cmdb_ci) {
        var item = current.cmdb_ci.getRefRecord();
        if (item.isValidField('used_for')) environment = item.getValue('used_for') || '';
        if (!environment && item.isValidField('environment')) environment = item.getValue('environment') || '';
    }
    var body = {
        template: 'streamgauge.servicenow.v1',
        operation: current.operation() + '',
        incident: {
            sys_id: current.getUniqueValue() + '',
            number: current.getValue('number'),
            state: current.getValue('state'),
            priority: current.getValue('priority'),
            sys_updated_on: current.getValue('sys_updated_on'),
            sys_mod_count: current.getValue('sys_mod_count'),
            opened_at: current.getValue('opened_at'),
            resolved_at: optional('resolved_at'),
            closed_at: optional('closed_at'),
            started_at: optional('u_impact_started_at'),
            business_service: display('business_service'),
            configuration_item: display('cmdb_ci'),
            environment: environment,
            caused_by: display('caused_by'),
            parent_incident: optional('parent_incident'),
            deployment_id: optional('u_deployment_id'),
            version: optional('u_version'),
            sha: optional('u_commit')
        }
    };
    var message = new sn_ws.RESTMessageV2('Streamgauge', 'incident');
    message.setRequestHeader('Content-Type', 'application/json');
    message.setRequestBody(JSON.stringify(body));
    message.executeAsync();
})(current, previous);
